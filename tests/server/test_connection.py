"""What one client can see of its connection."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from accountd.config.limits import Limits
from accountd.framing.base import MAX_MESSAGE
from accountd.framing.ndjson import NdjsonFraming
from accountd.protocol.account import AccountUpdated
from accountd.sandbox import Script
from accountd.server import connection as module
from fakes.client import CONFIG, DEVICE, NOBODY, READ, error, open_client
from fakes.world import open_world


async def test_initialize_says_who_answers() -> None:
    """The record's four members; the protocol's version after the first slash, our own at the end."""
    async with open_world() as world, open_client(world.services, initialize=False) as client:
        answer = (await client.initialize())["result"]
    assert list(answer) == ["userAgent", "codexHome", "platformFamily", "platformOs"]
    assert re.fullmatch(r"a test/0\.171\.0 \(.+; .+\) \S+ \(a test; 1\.0\) accountd/\d\S+", answer["userAgent"])
    assert answer["codexHome"] == "/home/ada/.codex"
    assert answer["platformFamily"] == "unix"


async def test_every_kind_of_rubbish_is_answered_and_costs_nothing() -> None:
    """What is not JSON, no message, or no method gets its error, with its id where it has one."""
    async with open_world() as world, open_client(world.services) as client:
        await client.send(b"nope", b"[]", b'{"id":1.5,"method":"x"}', {"id": "a"}, {"id": 2, "method": "x/y"})
        await client.send(b"\xff\xfe", b"", b'{"id":3,"result":{}}', {"method": "initialized"}, READ)
        answers = [await client.receive() for _ in range(7)]
    assert [(answer["id"], answer.get("error", {}).get("code")) for answer in answers] == [
        (None, -32700),
        (None, -32600),
        (None, -32600),
        ("a", -32600),
        (2, -32600),
        (None, -32700),
        (7, None),
    ]


async def test_a_message_that_is_too_large_ends_the_connection() -> None:
    """It gets an error first; what was asked before it is answered."""
    async with open_world() as world, open_client(world.services) as client:
        await client.send(READ)
        await client.stream.send_all(b"x" * (MAX_MESSAGE + 1))
        assert (await client.receive())["id"] == 7
        assert await client.receive() == error(-32600, f"message is larger than {MAX_MESSAGE} bytes", None)
        with pytest.raises(EOFError):
            await client.receive()


async def test_ids_come_back_as_they_went() -> None:
    """Strings and integers of any size, empty and negative ones too."""
    ids: list[int | str] = ["text", "", -7, 0, 2**63, 10**30]
    async with open_world() as world, open_client(world.services) as client:
        await client.send(*({**READ, "id": request_id} for request_id in ids))
        assert [(await client.receive())["id"] for _ in ids] == ids


async def test_requests_after_one_that_changes_the_account_see_the_change() -> None:
    """Sent all at once, a login with a key, a read, a logout and a read are answered as if one by one."""
    key = {"id": 1, "method": "account/login/start", "params": {"type": "apiKey", "apiKey": "sk"}}
    logout = {"id": 3, "method": "account/logout"}
    async with open_world() as world, open_client(world.services) as client:
        await client.send(key, {**READ, "id": 2}, logout, {**READ, "id": 4})
        seen = [await client.receive() for _ in range(7)]
    assert [message.get("id", message.get("method")) for message in seen] == [
        1,
        "account/login/completed",
        "account/updated",
        2,
        3,
        "account/updated",
        4,
    ]
    assert seen[3]["result"]["account"] == {"type": "apiKey"}
    assert seen[6]["result"] == NOBODY


async def test_a_slow_start_holds_up_its_own_connection_only(autojump_clock: trio.testing.MockClock) -> None:
    """While the issuer is slow with a code, others read; the client that asked gets its answers in order."""
    async with open_world(Script(delay=10)) as world:
        async with open_client(world.services) as slow, open_client(world.services) as other:
            await slow.send(DEVICE, READ)
            await trio.testing.wait_all_tasks_blocked()
            assert await other.call("account/read", {}) == {"id": 1, "result": NOBODY}
            assert trio.current_time() < 1
            assert (await slow.receive())["id"] == 8
            assert (await slow.receive())["id"] == 7


async def test_all_initialized_clients_hear_of_a_login(autojump_clock: trio.testing.MockClock) -> None:
    """Whoever began it and even if they are gone; not those who have not said who they are, or opted out."""
    async with (
        open_world(Script(approve_after_polls=2)) as world,
        open_client(world.services) as listener,
        open_client(world.services, initialize=False) as stranger,
        open_client(world.services, optOutNotificationMethods=["account/updated", "no/such"]) as picky,
    ):
        assert await stranger.call("account/read", {}) == error(-32600, "Not initialized")
        async with open_client(world.services) as starter:
            await starter.send(DEVICE)
            login_id = (await starter.receive())["result"]["loginId"]
        completed, updated = await listener.receive(), await listener.receive()
        assert completed["params"] == {
            "loginId": login_id,
            "success": True,
            "error": None,
            "onboardingEntrypoint": None,
        }
        assert updated["params"] == {"authMode": "chatgpt", "planType": "plus", "reason": None}
        assert list(completed) == ["method", "params", "emittedAtMs"]
        assert (await picky.receive())["method"] == "account/login/completed"
        assert (await picky.call("getAuthStatus", {}))["id"] == 1
        assert await stranger.call("account/read", {}) == error(-32600, "Not initialized")


async def test_a_client_that_half_closes_still_gets_its_answers(autojump_clock: trio.testing.MockClock) -> None:
    """A shell that sends its requests and closes its end hears the answers, and then the end."""
    async with open_world(Script(delay=1)) as world, open_client(world.services) as client:
        await client.send(DEVICE, READ)
        await client.stream.send_eof()
        assert (await client.receive())["id"] == 8
        assert (await client.receive())["id"] == 7
        with pytest.raises(EOFError):
            await client.receive()


async def test_a_client_that_half_closes_is_not_waited_for_forever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A request that takes longer than the drain is given up with its connection."""
    async with open_world(Script(delay=50)) as world, open_client(world.services) as client:
        await client.send(DEVICE)
        await client.stream.send_eof()
        with pytest.raises(EOFError):
            await client.receive()
        assert trio.current_time() == pytest.approx(module.DRAIN_TIMEOUT, abs=0.1)


async def test_too_many_requests_at_once_are_refused_not_queued(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Beyond the limit a request is told so at once, with the peer's code and words."""
    async with open_world(Script(approve_after_polls=0, interval=0)) as world:
        async with open_client(world.services) as client:
            await client.send(DEVICE)
            for _ in range(3):
                await client.receive()
            world.sandbox.script = Script(delay=3)
            await client.send(*[{**READ, "id": number} for number in range(Limits().requests_per_connection + 2)])
            for number in (Limits().requests_per_connection, Limits().requests_per_connection + 1):
                assert await client.receive() == error(-32001, "Server overloaded; retry later.", number)
            answered = {(await client.receive())["id"] for _ in range(Limits().requests_per_connection)}
            assert answered == set(range(Limits().requests_per_connection))


async def test_a_bug_fails_its_request_and_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that nobody foresaw is logged; the client hears little of it, and the connection goes on."""
    async with open_world() as world, open_client(world.services) as client:
        with monkeypatch.context() as patch:
            patch.setattr(type(world.reader), "known", lambda _: 1 / 0)
            assert await client.call("account/read", {}) == error(
                -32603, "internal error; the log of accountd says more"
            )
        assert await client.call("account/read", {}) == {"id": 1, "result": NOBODY}
    assert "ZeroDivisionError" in caplog.text


async def test_draining_answers_what_was_asked_and_ends(autojump_clock: trio.testing.MockClock) -> None:
    """At shutdown a connection reads no more, and ends when its requests are answered."""
    async with open_world(Script(delay=1)) as world, open_client(world.services) as client:
        await client.send(DEVICE)
        await trio.testing.wait_all_tasks_blocked()
        client.connection.drain()
        assert (await client.receive())["id"] == 8
        with pytest.raises(EOFError):
            await client.receive()


@given(st.binary(max_size=300))
async def test_no_bytes_do_any_harm(data: bytes) -> None:
    """Whatever a client sends, its connection ends in good order, and the next client is served."""
    async with open_world() as world:
        async with open_client(world.services, initialize=False) as client:
            await client.stream.send_all(data)
            await trio.testing.wait_all_tasks_blocked()
        async with open_client(world.services) as client:
            assert (await client.call("account/read", {}))["result"] == NOBODY


async def test_an_honest_client_may_ask_a_thousand_things_at_once() -> None:
    """Requests sent in one piece, and read all the while, are all answered, however many they are."""
    async with open_world() as world, open_client(world.services) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, *[{**READ, "id": number} for number in range(5000)])
            assert [(await client.receive())["id"] for _ in range(5000)] == list(range(5000))


@pytest.mark.parametrize(
    "message", [b"x", b"1", b'{"id":1,"method":"x"}', b'{"id":1,"method":"account/read","params":{}}']
)
async def test_others_have_their_turns_beside_one_that_asks_without_end(
    message: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of its messages have come at once, its turn is over when its time is."""
    monkeypatch.setattr(module, "TURN", 0)
    async with open_world() as world, open_client(world.services) as client:
        counters = world.services.counters

        def answered() -> int:
            return counters.requests_answered + counters.requests_refused.total()

        await client.stream.send_all((message + b"\n") * 3000)
        numbers = [answered()]
        end = numbers[0] + 3000
        while numbers[-1] < end:
            await trio.lowlevel.checkpoint()
            numbers.append(answered())
        assert max(after - before for before, after in pairwise(numbers)) <= 1


async def test_a_client_that_does_not_read_is_cut_and_the_others_are_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """What piles up for one is bounded; everybody else hears everything, in time."""
    async with open_world() as world, open_client(world.services) as reader:
        ours, theirs = trio.testing.lockstep_stream_pair()
        deaf = module.Connection(theirs, NdjsonFraming(), world.services, CONFIG)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deaf.run)
            await ours.send_all(
                b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"x","version":"1"}}}\n'
            )
            await ours.receive_some()
            number = Limits().outbox_bytes // 50
            for _ in range(number):
                world.services.hub.publish(AccountUpdated(None, None))
                assert (await reader.receive())["method"] == "account/updated"
            await trio.testing.wait_all_tasks_blocked()
            assert not nursery.child_tasks  # it ended by itself


async def test_a_client_that_has_left_takes_its_requests_along(autojump_clock: trio.testing.MockClock) -> None:
    """Where the other end is closed both ways, nobody waits for the answer, and a login is not begun."""
    async with open_world(Script(delay=3)) as world:
        ours, theirs = trio.testing.memory_stream_pair()
        connection = module.Connection(theirs, NdjsonFraming(), world.services, CONFIG, has_left=lambda: True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            initialize = {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "x", "version": "1"}}}
            await ours.send_all(json.dumps(initialize).encode() + b"\n" + json.dumps(DEVICE).encode() + b"\n")
            await trio.testing.wait_all_tasks_blocked()
            await ours.send_eof()
        assert trio.current_time() < 1
        assert world.logins._logins == {}


async def test_nothing_that_a_client_sends_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A token in a wrong place is quoted to its sender and to nobody else."""
    caplog.set_level("DEBUG")
    async with open_world() as world, open_client(world.services) as client:
        assert "canary" in (await client.call("account/read", {"refreshToken": "canary"}))["error"]["message"]
        await client.call("account/login/start", {"type": "canary"})
        await client.call("account/login/cancel", {"loginId": "canary"})
        await client.call("account/login/start", {"type": "apiKey", "apiKey": ["canary"]})
    assert "canary" not in caplog.text
    assert "account/read" in caplog.text
