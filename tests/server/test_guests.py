"""Guests: what they are handed and how often, which refreshes they can force, and what they hear."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from accountd.config.limits import Limits
from accountd.counters import GuestCounters
from accountd.framing.ndjson import NdjsonFraming
from accountd.protocol.methods import TOKEN_NOTIFICATIONS
from accountd.sandbox import Fault, Script
from accountd.secret import Secret
from accountd.server.connection import Connection
from accountd.server.door import Door, make_token_door, share_room
from accountd.server.guests import (
    ARRIVALS_AT_ONCE,
    ARRIVALS_PER_SECOND,
    LOOK_UPS_AT_ONCE,
    LOOK_UPS_PER_SECOND,
    MESSAGES_AT_ONCE,
    MESSAGES_PER_SECOND,
    REFRESH_INTERVAL,
    Guest,
    Guests,
    Turnstile,
)
from fakes.client import CONFIG, Client, open_client
from fakes.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APPROVED = Script(approve_after_polls=0, interval=0, token_lifetime=3600)
TOKEN = "/oauth/token"
CHECK = "/backend-api/wham/accounts/check"
ASK = {"includeToken": True}
FORCE = {"includeToken": True, "refreshToken": True}


@asynccontextmanager
async def open_room(**limits: int) -> AsyncIterator[tuple[World, Door]]:
    """Give a world where somebody is logged in, and the door of its guests."""
    async with open_world(APPROVED) as world:
        await world.wait_completion(await world.start_device_login())
        counted = world.services.counters.guests
        yield world, make_token_door(Limits(**limits), Guests(Limits(**limits), counted))


async def token_of(client: Client, params: dict[str, Any] = ASK) -> str:
    """Ask for a token."""
    answer = await client.call("getAuthStatus", params)
    token: str = answer["result"]["authToken"]
    return token


def fails(path: str) -> Script:
    """Write the script of a server whose every answer at a path is a failure."""
    return Script(faults=tuple(Fault(path, number, 503) for number in range(1, 500)))


def refreshes(world: World) -> int:
    """Count the refreshes that were made."""
    return world.services.counters.refreshes.total()


async def test_a_refresh_is_forced_once_in_ten_seconds(autojump_clock: trio.testing.MockClock) -> None:
    """All guests together have one; in between each gets the present token, whichever way it asks."""
    async with open_room() as (world, door):
        async with (
            open_client(world.services, door=door) as one,
            open_client(world.services, door=door) as two,
        ):
            first = await token_of(one)
            second = await token_of(one, FORCE)
            assert second != first
            for guest in (one, two, one):
                assert await token_of(guest, FORCE) == second
                assert "result" in await guest.call("account/read", {"refreshToken": True})
            assert refreshes(world) == 1
            await trio.sleep(REFRESH_INTERVAL)
            assert await token_of(two, FORCE) != second
            assert refreshes(world) == 2
        counted = world.services.counters.guests
        assert (counted.refreshes_made, counted.refreshes_withheld) == (2, 6)


async def test_a_guest_with_an_older_token_gets_the_present_one(autojump_clock: trio.testing.MockClock) -> None:
    """It needs no refresh; nor does one that comes anew, when guests were handed nothing but older ones."""
    async with open_room() as (world, door), open_client(world.services) as ours:
        async with open_client(world.services, door=door) as guest:
            old = await token_of(guest)
            present = await token_of(ours, FORCE)
            for _ in range(2):
                async with open_client(world.services, door=door) as newcomer:
                    assert (await newcomer.call("account/read", {"refreshToken": True}))["result"]["account"]
            assert await token_of(guest, FORCE) == present != old
            assert refreshes(world) == 1
            assert await token_of(guest, FORCE) != present  # which it has by now
            assert refreshes(world) == 2


@pytest.mark.parametrize(("is_due", "granted"), [(False, False), (True, True)])
async def test_which_token_a_guest_has_is_not_what_another_was_handed(is_due: bool, granted: bool) -> None:
    """So an older one brings no refresh, though the others have the present one; a refresh that is due is made."""
    guests = Guests(Limits(), GuestCounters())
    one, other = Guest(guests), Guest(guests)
    one.note_token(Secret("old"))
    other.note_token(Secret("present"))
    assert one.may_refresh(Secret("present"), is_due=is_due) is granted
    assert other.may_refresh(Secret("present"), is_due=False) is not granted  # the one refresh of these ten seconds


async def test_the_main_door_refreshes_when_told_to(autojump_clock: trio.testing.MockClock) -> None:
    """However often, and whatever guests did before; and a guest may wait for the refresh of another."""
    async with open_room() as (world, door), open_client(world.services) as ours:
        async with open_client(world.services, door=door) as guest:
            await token_of(guest, FORCE)
            seen = {await token_of(ours, FORCE) for _ in range(5)}
            assert (len(seen), refreshes(world)) == (5, 6)
            world.sandbox.script = Script(delay=3, token_lifetime=3600)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(token_of, ours, FORCE)
                await trio.testing.wait_all_tasks_blocked(0.5)
                assert await token_of(guest, FORCE) not in seen
            assert refreshes(world) == 7


@pytest.mark.parametrize("way", [("getAuthStatus", ASK), ("account/read", {})])
async def test_an_outage_is_not_worsened_by_guests(
    autojump_clock: trio.testing.MockClock, way: tuple[str, dict[str, Any]]
) -> None:
    """A refresh that is due and fails is tried for guests once in ten seconds, and not for each that asks."""
    async with open_room() as (world, door), open_client(world.services, door=door) as guest:
        await guest.call("account/read", {})
        world.sandbox.script = fails(TOKEN)
        world.clock.jump(3600)
        await trio.sleep(1)
        by_itself = refreshes(world)
        for _ in range(20):
            assert "result" in await guest.call(*way)
        assert refreshes(world) == by_itself + 1
        await trio.sleep(REFRESH_INTERVAL)
        for _ in range(5):
            await guest.call(*way)
        assert refreshes(world) == by_itself + 2


async def test_a_token_that_is_good_for_long_is_a_refresh_in_ten_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whoever asks for more than a token lasts spends no more refresh tokens than others, and is handed as many."""
    async with open_room(guest_tokens_per_minute=60) as (world, door):
        async with open_client(world.services, door=door, extensions={"accountd": {}}) as guest:
            handed = await guest.call("account/token/read", {"minValidSeconds": 60})
            assert handed["result"].pop("accountId") is None
            assert handed["result"].keys() == {"authMode", "token", "expiresAt", "chatgptAccountId", "planType"}
            answers = [await guest.call("account/token/read", {"minValidSeconds": 80_000}) for _ in range(20)]
            assert {-32603, -32001} <= {answer.get("error", {}).get("code") for answer in answers}
            assert refreshes(world) == 1


async def test_the_backend_is_not_worn_out_by_guests(autojump_clock: trio.testing.MockClock) -> None:
    """While it does not tell the workspace, it is asked for them up to a limit; what is known is told to all."""
    async with open_room() as (world, door), open_client(world.services) as ours:
        world.sandbox.script = fails(CHECK)
        async with open_client(world.services, door=door) as guest:
            codes = [(await guest.call("account/read", {}))["error"]["code"] for _ in range(200)]
            assert set(codes) == {-32603, -32001}
            assert codes.count(-32603) <= trio.current_time() * LOOK_UPS_PER_SECOND + LOOK_UPS_AT_ONCE + 1
            world.sandbox.script = APPROVED
            assert (await ours.call("account/read", {}))["result"]["account"]
            assert (await guest.call("account/read", {}))["result"]["account"]


async def test_twenty_containers_that_ask_each_second_are_served(autojump_clock: trio.testing.MockClock) -> None:
    """On connections of their own, for half a minute: each has its token within the second."""
    async with open_room() as (world, door):

        async def ask() -> None:
            for _ in range(30):
                with trio.fail_after(1):
                    async with open_client(world.services, door=door) as guest:
                        await token_of(guest)
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert world.services.counters.guests.tokens_handed_out == 20 * 30
        assert world.services.counters.guests.tokens_refused == 0


async def test_too_many_tokens_are_refused_with_when_to_ask_again(autojump_clock: trio.testing.MockClock) -> None:
    """Ten seconds' worth at once; then one at a time. The refused are counted, and cause no refresh."""
    async with open_room(guest_tokens_per_minute=60) as (world, door):
        async with open_client(world.services, door=door) as guest:
            for _ in range(10):
                await token_of(guest)
            answer = await guest.call("getAuthStatus", FORCE)
            message = "too many tokens were asked for on this socket; ask again in 1 s"
            assert answer["error"] == {"code": -32001, "message": message}
            assert (await guest.call("getAuthStatus", {}))["result"]["authMethod"] == "chatgpt"  # without a token
            await trio.sleep(1)
            await token_of(guest)
        async with open_client(world.services) as ours:  # whom it is nothing to
            for _ in range(50):
                await token_of(ours)
        assert refreshes(world) == 0
        assert world.services.counters.guests.tokens_refused == 1
        assert world.services.counters.guests.tokens_handed_out == 11


@pytest.mark.parametrize(
    "message", [b'{"id":2,"method":"account/logout"}', b"1", b'{"id":2,"result":5}', b" " * 1024]
)
async def test_a_guest_is_read_at_a_pace(autojump_clock: trio.testing.MockClock, message: bytes) -> None:
    """Whatever it sends, be it no message at all; who comes by the main door is not held up."""
    number = MESSAGES_AT_ONCE + 10 * MESSAGES_PER_SECOND
    took = []
    async with open_room() as (world, door):
        for place in (None, door):
            async with open_client(world.services, door=place) as client:
                start = trio.current_time()
                await client.send(*[message] * number, {"id": "last", "method": "getAuthStatus", "params": {}})
                while (await client.receive()).get("id") != "last":
                    pass
                took.append(trio.current_time() - start)
    assert took == [0, pytest.approx(10, abs=0.5)]


async def test_a_guest_that_waits_for_its_turn_does_not_hold_the_shutdown_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is drained like any other connection."""
    async with open_room() as (world, door), open_client(world.services, door=door) as guest:
        await guest.send(*[b"1"] * 1000)
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        guest.connection.drain()
        while bytes(await guest.stream.receive_some()):
            pass
        assert trio.current_time() - start < 1


async def test_what_a_guest_that_has_left_sent_ahead_is_not_read(autojump_clock: trio.testing.MockClock) -> None:
    """At a guest's pace that took a quarter of an hour, in which it had a place and a descriptor."""
    async with open_room() as (world, door):
        ours, theirs = trio.testing.memory_stream_pair()
        await ours.send_all(b'{"method":"x"}\n' * 14_000)
        await ours.aclose()
        connection = Connection(theirs, NdjsonFraming(), world.services, CONFIG, has_left=lambda: True, door=door)
        start = trio.current_time()
        await connection.run()
        assert trio.current_time() == start


async def test_guests_come_in_at_a_pace(autojump_clock: trio.testing.MockClock) -> None:
    """A crowd at once, and then so many a second; those who wait are in the queue of the socket."""

    class Crowd(trio.abc.Listener[trio.SocketStream]):
        async def accept(self) -> trio.SocketStream:
            await trio.lowlevel.checkpoint()
            return None  # type: ignore[return-value]  # of which nothing is asked

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    async with open_world() as world:
        turnstile = Turnstile(Crowd(), Guests(Limits(), world.services.counters.guests))  # type: ignore[arg-type]
        for _ in range(ARRIVALS_AT_ONCE):
            await turnstile.accept()
        assert trio.current_time() == 0
        for _ in range(3 * ARRIVALS_PER_SECOND):
            await turnstile.accept()
        assert trio.current_time() == pytest.approx(3)


async def test_requests_of_guests_have_places_of_their_own(autojump_clock: trio.testing.MockClock) -> None:
    """However many of theirs wait, those of the main door go on, and no guest has all of the guests' places."""
    async with open_room(guest_requests=16) as (world, door):
        main = Door("main", Limits())
        async with open_client(world.services, door=main) as ours, open_client(world.services, door=door) as guest:
            world.sandbox.script = Script(delay=30)
            await guest.send(*({"id": number, "method": "account/read", "params": {}} for number in range(4)))
            answers = [await guest.receive() for _ in range(2)]
            assert [answer["error"]["code"] for answer in answers] == [-32001, -32001]
            assert (door.load.requests, main.load.requests) == (2, 0)
            assert "result" in await ours.call("getAuthStatus", {})


@pytest.mark.parametrize("extension", [{}, {"extensions": {"accountd": {}}}])
async def test_guests_hear_that_the_account_is_another_and_nothing_else(
    autojump_clock: trio.testing.MockClock, extension: dict[str, Any]
) -> None:
    """Nothing of logins, their ids and codes; also where a client declares our extension."""
    async with open_room() as (world, door), open_client(world.services, door=door, **extension) as guest:
        login = await world.start_device_login()
        await world.wait_completion(login)
        await trio.testing.wait_all_tasks_blocked()
        await guest.send({"id": "last", "method": "getAuthStatus", "params": {}})
        heard = []
        while (message := await guest.receive()).get("id") != "last":
            heard.append(message["method"])
        assert set(heard) - {"account/token/changed"} == {"account/updated"}
        assert set(heard) <= TOKEN_NOTIFICATIONS


def test_guests_leave_the_descriptors_to_the_others_where_they_are_short() -> None:
    """All have their places where there is room; else guests have an eighth of it at most."""
    assert share_room(4160, 4096, 64) == (4096, 64)
    assert share_room(192, 4096, 64) == (168, 24)
    assert share_room(4096, 4096, 0) == (4096, 0)
    assert share_room(1, 4096, 64) == (1, 0)
