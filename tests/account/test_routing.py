"""When the backend is asked where a workspace is, and which clients are told of it unasked."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.account.routing import FIRST_RETRY, LONGEST_RETRY
from accountd.errors import RequestFailed
from accountd.sandbox import Claims, Fault, Script
from accountd.secret import Secret
from fakes.client import open_client
from fakes.logged_in import log_in, open_logged_in, supply_tokens
from fakes.world import open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fakes.client import Client
    from fakes.world import World

CHECK = "/backend-api/wham/accounts/check"
LONG = Script(approve_after_polls=0, token_lifetime=60 * 86_400)
"""Tokens that live long enough for no refresh to come in between."""

READY = {"authMode": "chatgpt", "planType": "plus", "reason": "workspaceRoutingReady"}


def look_ups(world: World) -> int:
    """Count the look-ups."""
    return [request.path for request in world.sandbox.requests].count(CHECK)


@asynccontextmanager
async def ahead(world: World) -> AsyncIterator[None]:
    """Have workspaces looked up ahead of time, as in the daemon."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.account.routing.look_up_ahead)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


async def greetings_of(client: Client) -> list[object]:
    """Give what a client was told because it has come, by now."""
    assert "result" in await client.call("getAuthStatus", {})
    return [*client.greetings]


async def test_who_comes_later_is_told_at_once_and_alone(autojump_clock: trio.testing.MockClock) -> None:
    """Of a login whose routing is known; but for one that does not want to hear of accounts."""
    async with open_logged_in() as world, open_client(world.services) as early:
        await world.reader.look_up()
        assert await greetings_of(early) == [READY]
        async with open_client(world.services) as late:
            assert await greetings_of(late) == [READY]
            assert await greetings_of(early) == [READY]
        async with open_client(world.services, optOutNotificationMethods=["account/updated"]) as deaf:
            assert await greetings_of(deaf) == []


async def test_it_is_told_between_the_answer_to_initialize_and_all_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Also to a client that sends its first requests in one piece."""
    async with open_logged_in() as world, open_client(world.services, initialize=False) as client:
        await world.reader.look_up()
        info = {"clientInfo": {"name": "a test", "version": "1"}}
        read = {"id": 2, "method": "getAuthStatus", "params": {}}
        await client.send({"id": 1, "method": "initialize", "params": info}, read)
        assert (await client.receive())["id"] == 1
        assert client.messages[0]["params"] == READY
        assert (await client.receive())["id"] == 2


async def test_a_look_up_that_fails_tells_nobody_then_or_later(autojump_clock: trio.testing.MockClock) -> None:
    """Who was there for it finds out by asking; who comes after it waits for the next one."""
    async with open_logged_in() as world, open_client(world.services) as early:
        world.sandbox.script = Script(faults=(Fault(CHECK, 1, 500),))
        with pytest.raises(RequestFailed):
            await world.reader.look_up()
        async with open_client(world.services) as late:
            await world.reader.look_up()
            assert await greetings_of(late) == [READY]
            assert await greetings_of(early) == []


async def test_who_waits_for_one_login_is_not_greeted_for_the_next(autojump_clock: trio.testing.MockClock) -> None:
    """They have heard of that one like everybody."""
    async with open_logged_in() as world, open_client(world.services) as client:
        world.sandbox.script = Script(approve_after_polls=0, claims=Claims(account_id="account-other"))
        await log_in(world)
        await world.reader.look_up()
        assert (await client.receive())["method"] == "account/login/completed"
        assert (await client.receive())["params"] == READY | {"reason": None}
        assert await greetings_of(client) == []


async def test_a_client_hears_of_supplied_tokens_when_it_comes(autojump_clock: trio.testing.MockClock) -> None:
    """They have a routing as well."""
    async with open_world() as world, ahead(world):
        await supply_tokens(world)
        await trio.sleep(1)
        async with open_client(world.services) as client:
            assert await greetings_of(client) == [READY | {"authMode": "chatgptAuthTokens"}]


async def test_without_a_login_that_is_needed_there_is_no_greeting_and_no_look_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """For nobody, for a key, after a logout, and beside a model provider that needs no login."""

    async def see_nothing() -> None:
        asked = look_ups(world)
        await trio.sleep(2 * LONGEST_RETRY)
        async with open_client(world.services) as client:
            assert await greetings_of(client) == []
        assert look_ups(world) == asked

    async with open_world(LONG) as world, ahead(world):
        await see_nothing()
        await world.logins.start_api_key(Secret("sk-x"), lambda _: None)
        await see_nothing()
        world.credential.follow_provider(requires_openai_auth=False)
        await log_in(world)
        await see_nothing()
        world.credential.follow_provider(requires_openai_auth=True)
        await trio.sleep(1)
        assert look_ups(world) == 1
        await world.account.log_out(announce=lambda: None)
        await see_nothing()


async def test_each_login_is_looked_up_once_by_itself(autojump_clock: trio.testing.MockClock) -> None:
    """One that is stored, at the start; refreshes cost no other; a login costs its own."""
    async with open_logged_in() as before:
        pass
    async with open_world(after=before) as world, ahead(world):
        known = world.reader.known()
        assert known is not None
        assert known.account is not None
        await trio.sleep(3 * 86_400)
        assert look_ups(world) == 1
        await log_in(world)
        await trio.sleep(3 * 86_400)
        assert look_ups(world) == 2


async def test_after_a_failure_it_is_tried_again_less_and_less_often(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Until it goes well; another login is looked up without waiting."""
    async with open_logged_in(LONG) as world:
        world.sandbox.script = Script(faults=tuple(Fault(CHECK, number, 503) for number in range(1, 4)))
        async with ahead(world):
            assert look_ups(world) == 1
            await trio.sleep(FIRST_RETRY + 1)
            assert look_ups(world) == 2
            await trio.sleep(FIRST_RETRY)
            assert look_ups(world) == 2
            await trio.sleep(7 * FIRST_RETRY)
            assert look_ups(world) == 4
            assert world.reader.known() is not None


@pytest.mark.parametrize(("refusals", "refreshed"), [(1, []), (2, ["unauthorized_recovery"])])
async def test_one_refusal_may_pass_and_the_second_means_the_tokens(
    refusals: int, refreshed: list[str], autojump_clock: trio.testing.MockClock
) -> None:
    """They are refreshed for that reason, which the issuer is told, and the audit log."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(faults=tuple(Fault(CHECK, nth, 401) for nth in range(1, refusals + 1)))
        await world.reader.look_up()
        assert [note["reason"] for note in world.audited if note["event"] == "refresh"] == refreshed
