"""The library on trio, connected to the real server in memory: typed answers, logins as blocks, and restarts."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from accountd import __version__
from accountd.client import connect
from accountd.client.client import CONNECT_TIMEOUT
from accountd.client.errors import (
    AnswerUnknown,
    CallFailed,
    CallTimedOut,
    ConnectionLost,
    LoginFailed,
    NothingListens,
)
from accountd.client.notifications import MAX_QUEUED, Gap, Notifications
from accountd.protocol.account import (
    AccountLoginCompleted,
    AccountLoginProgress,
    AccountUpdated,
    ApiKeyAccount,
    ChatgptAccount,
)
from accountd.sandbox import Script
from fakes.app_server import AppServer
from fakes.door import open_library, open_library_of
from fakes.world import open_world

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.client import Client
    from fakes.client import MemoryStream

APPROVED = Script(approve_after_polls=1)


async def take(notifications: Notifications, count: int) -> list[Any]:
    """Take so many notifications."""
    return [await anext(notifications) for _ in range(count)]


# answers


async def test_it_introduces_itself_and_knows_the_server(autojump_clock: trio.testing.MockClock) -> None:
    """The server's answer to `initialize` is at hand, with the name that the client gave."""
    async with open_world() as world, open_library(world.services) as (client, _):
        assert client.server.codex_home == "/home/ada/.codex"
        assert client.server.user_agent.startswith("tests/")


async def test_answers_are_the_structs_of_the_protocol(autojump_clock: trio.testing.MockClock) -> None:
    """Account, limits, usage and token come back typed."""
    async with open_world(APPROVED) as world, open_library(world.services) as (client, _):
        async with client.login_device_code() as login:
            await login.wait()
        account = (await client.read_account()).account
        assert account == ChatgptAccount("ada@example.com", "plus", "Sandbox workspace")
        limits = await client.read_rate_limits()
        assert limits.rate_limits.primary is not None
        assert limits.rate_limits.primary.window_duration_mins == 300
        assert (await client.read_usage()).summary.lifetime_tokens is not None
        token = await client.read_token(min_valid=60)
        assert token.auth_mode == "chatgpt"
        assert token.token not in repr(token)
        assert (await client.read_account(refresh=True)).account == account


async def test_a_key_and_a_logout(autojump_clock: trio.testing.MockClock) -> None:
    """An API key is logged in with at once; a logout ends that."""
    async with open_world() as world, open_library(world.services) as (client, _):
        await client.login_api_key("sk-test")
        assert (await client.read_account()).account == ApiKeyAccount()
        await client.logout(revoke=False)
        assert (await client.read_account()).account is None
        await client.login_api_key("sk-test")
        await client.logout()
        assert (await client.read_account()).account is None


async def test_anything_else_can_be_asked(autojump_clock: trio.testing.MockClock) -> None:
    """`call` gives any result as it is, what is experimental too, and an error in the daemon's words."""
    async with open_world() as world, open_library(world.services) as (client, _):
        assert (await client.call("account/store/read"))["kind"] == (await client.read_store()).kind == "memory"
        assert (await client.read_auth_status()).auth_method is None
        assert (await client.read_status()).version == __version__
        assert (await client.call("accountSession/list", {}))["sessions"] == []
        with pytest.raises(CallFailed, match="unknown variant `account/foo`") as raised:
            await client.call("account/foo")
        assert (raised.value.code, raised.value.reason) == (-32600, "invalidRequest")


async def test_a_cancelled_call_leaves_the_connection_usable(autojump_clock: trio.testing.MockClock) -> None:
    """The late answer of a call that was given up is dropped, and the next one gets its own."""
    async with open_world(Script(delay=3, approve_after_polls=0)) as world:
        async with open_library(world.services) as (client, door):
            async with client.login_device_code() as login:
                await login.wait()
            with trio.move_on_after(1) as scope:
                await client.read_rate_limits()
            assert scope.cancelled_caught
            assert (await client.call("getAuthStatus", {}))["authMethod"] == "chatgpt"
            await trio.sleep(10)
            assert (await client.read_rate_limits()).rate_limits.limit_id == "codex"
            assert door.opened == 1


# logins


async def test_a_device_login_shows_what_a_person_needs(autojump_clock: trio.testing.MockClock) -> None:
    """Page, code and the moment of expiry are there when the block begins."""
    async with open_world(Script()) as world, open_library(world.services) as (client, _):
        async with client.login_device_code() as login:
            assert login.url.endswith("/codex/device")
            assert len(login.code) == 9
            assert login.expires_at == pytest.approx(world.clock.now() + 900, abs=1)
            assert (login.progress.state, login.has_ended) == ("waiting", False)
            assert [known.started.login_id for known in await client.list_logins()] == [login.id]


async def test_leaving_the_block_cancels_the_login(autojump_clock: trio.testing.MockClock) -> None:
    """A login that nobody waits for any more is cancelled, and nothing is stored."""
    async with open_world(Script()) as world, open_library(world.services) as (client, _):
        async with client.login_device_code():
            pass
        assert await client.list_logins() == ()
        assert [completion["success"] for completion in world.completions()] == [False]


async def test_an_error_in_the_block_cancels_the_login_and_comes_out_as_it_is(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """No group is made of the caller's exception, neither by the login nor by the connection."""
    async with open_world(Script()) as world:
        with pytest.raises(ZeroDivisionError):
            async with open_library(world.services) as (client, _), client.login_device_code():
                raise ZeroDivisionError
        assert [completion["success"] for completion in world.completions()] == [False]


async def test_a_ctrl_c_in_the_block_comes_out_as_it_is(path: Path) -> None:
    """Whoever catches it needs no `except*`, and whoever does not sees no groups in the traceback."""
    with AppServer(path), pytest.raises(KeyboardInterrupt):
        async with connect(path):
            raise KeyboardInterrupt


async def test_a_login_that_is_over_is_not_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """After `wait` the block ends without a word to the daemon."""
    async with open_world(APPROVED) as world, open_library(world.services) as (client, _):
        async with client.login_device_code() as login:
            await login.wait()
            await login.wait()
        assert [completion["success"] for completion in world.completions()] == [True]


async def test_a_login_is_followed_step_by_step(autojump_clock: trio.testing.MockClock) -> None:
    """From its first step to its end, whenever one begins to; a failure is raised at the end."""
    async with open_world(APPROVED) as world, open_library(world.services) as (client, _):
        async with client.login_device_code() as login:
            for _ in range(2):
                steps = [progress.state async for progress in login.follow()]
                assert steps == ["waiting", "exchanging", "committing"]
        world.sandbox.script = Script(deny=True)
        async with client.login_device_code() as login:
            with pytest.raises(LoginFailed, match="device auth was denied"):
                _ = [progress async for progress in login.follow()]


async def test_a_login_that_fails_says_why(autojump_clock: trio.testing.MockClock) -> None:
    """`wait` raises what the daemon says: denied by the person, or cancelled by anybody."""
    async with open_world(Script(deny=True)) as world, open_library(world.services) as (client, _):
        async with client.login_device_code() as login:
            with pytest.raises(LoginFailed, match="device auth was denied"):
                await login.wait()
        world.sandbox.script = Script()
        async with client.login_device_code() as login:
            assert await client.cancel_login(login.id)
            with pytest.raises(LoginFailed, match="Login was not completed"):
                await login.wait()
            assert not await login.cancel()


async def test_a_login_that_was_cancelled_while_it_started_does_not_live_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The answer to a start that nobody waits for any more is met with a cancel."""
    async with open_world(Script(delay=3)) as world, open_library(world.services) as (client, _):
        with trio.move_on_after(1) as scope:
            async with client.login_device_code():
                raise AssertionError("it cannot have begun")
        assert scope.cancelled_caught
        await trio.sleep(10)
        assert [completion["success"] for completion in world.completions()] == [False]
        assert await client.list_logins() == ()


async def test_a_start_that_fails_is_the_daemons_error(autojump_clock: trio.testing.MockClock) -> None:
    """Where codes are not offered the block never begins."""
    async with open_world(Script(disabled=True)) as world, open_library(world.services) as (client, _):
        with pytest.raises(CallFailed, match="device code login is not enabled"):
            async with client.login_device_code():
                raise AssertionError("it cannot have begun")


# notifications and restarts


async def test_notifications_come_typed_and_in_order(autojump_clock: trio.testing.MockClock) -> None:
    """A follower hears a whole login; one that came later hears the rest, one that is let go of nothing."""
    async with open_world(APPROVED) as world, open_library(world.services) as (client, _):
        first = client.notifications()
        async with client.login_device_code() as login:
            second = client.notifications()
            await login.wait()
        heard = await take(first, 5)
        kinds = [AccountLoginProgress] * 3 + [AccountLoginCompleted, AccountUpdated]
        assert [type(notification) for notification in heard] == kinds
        assert await take(second, 4) == heard[1:]
        del first, second
        gc.collect()
        assert not client._followers


async def test_a_follower_survives_a_restart(autojump_clock: trio.testing.MockClock) -> None:
    """When the daemon is there again there is a gap, and what is said after it."""
    async with open_world() as world, open_library(world.services) as (client, door):
        follower = client.notifications()
        async with trio.open_nursery() as nursery:

            async def restart() -> None:
                await door.shut()
                await trio.sleep(60)
                door.is_open = True

            nursery.start_soon(restart)
            assert await anext(follower) == Gap()
        await client.login_api_key("sk-test")
        assert [type(heard) for heard in await take(follower, 2)] == [AccountLoginCompleted, AccountUpdated]
        assert (door.opened, door.started) == (2, 0)


async def test_a_call_connects_again(autojump_clock: trio.testing.MockClock) -> None:
    """After a restart the next call is answered; with `start`, a daemon that is gone is started for it."""
    async with open_world() as world:
        async with open_library(world.services) as (client, door):
            await door.shut()
            with pytest.raises(NothingListens):
                await client.read_account()
            door.is_open = True
            assert (await client.read_account()).account is None
        async with open_library(world.services, start=True) as (client, door):
            await door.shut()
            assert (await client.read_account()).account is None
            assert door.started == 1


async def test_calls_at_once_share_the_new_connection(autojump_clock: trio.testing.MockClock) -> None:
    """Several callers that find the connection lost open one between them."""
    async with open_world() as world, open_library(world.services, start=True) as (client, door):
        await door.shut()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(client.read_account)
        assert door.opened == 2


async def test_what_was_under_way_is_lost_with_the_connection(autojump_clock: trio.testing.MockClock) -> None:
    """A call that waits for its answer, and one that waits for a login, are told; neither waits forever."""
    async with open_world(Script()) as world, open_library(world.services) as (client, door):
        async with client.login_device_code() as login, trio.open_nursery() as nursery:
            nursery.start_soon(door.shut)
            with pytest.raises(ConnectionLost, match="the daemon at /s closed the connection"):
                await login.wait()
            assert login.has_ended


async def test_a_follower_that_does_not_follow_is_told_of_a_gap(autojump_clock: trio.testing.MockClock) -> None:
    """Notifications that nobody takes are given up together, and cost no memory."""
    follower = Notifications(trio.lowlevel.checkpoint)
    for _ in range(MAX_QUEUED + 3):
        follower.put(AccountUpdated(None, None))
    assert await take(follower, 3) == [Gap(), AccountUpdated(None, None), AccountUpdated(None, None)]


# a server that is none


async def answers(stream: MemoryStream, *replies: bytes) -> None:
    """Serve a client that is told these lines, one for each that it sends."""
    asked = 0
    for number, reply in enumerate(replies, start=1):
        while asked < number:
            asked += bytes(await stream.receive_some()).count(b"\n")
        await stream.send_all(reply + b"\n")
    await trio.sleep_forever()


HELLO = (
    b'{"id":0,"result":{"userAgent":"x/1","codexHome":"/h","platformFamily":"unix","platformOs":"linux"}}\n'
    b'{"method":"new/thing","params":{}}\n{"method":"account/updated","params":{"authMode":7}}'
)


async def ask(client: Client) -> None:
    """Ask for the account."""
    await client.read_account()


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (
            b'{"id":1,"result":{"account":{"type":"tin"}}}',
            AnswerUnknown,
            r"does not know: a value .*`\$.account",
        ),
        (b'{"id":1,"error":{"code":-32603,"message":"no"}}', CallFailed, "no"),
        (b'{"id":1,"error":7}', AnswerUnknown, "an error that could not be read"),
        (b'{"id":2,"result":{}}', ConnectionLost, "not the protocol"),
        (b"hello", ConnectionLost, "not the protocol"),
        (b'{"id":null,"error":{"code":-32700,"message":"no"}}', ConnectionLost, "not the protocol"),
    ],
)
async def test_what_is_not_understood_is_an_error(
    autojump_clock: trio.testing.MockClock, reply: bytes, error: type[Exception], words: str
) -> None:
    """An answer of another version's fails its call; what is no answer at all ends the connection."""

    async def serve(stream: MemoryStream) -> None:
        await answers(stream, HELLO, b'{"method":"noise"}', reply)

    async with open_library_of(serve) as (client, _):
        with pytest.raises(error, match=words):
            await client.read_account()


async def test_a_server_that_does_not_answer_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """Connecting ends with an error in ten seconds, not never."""
    began = trio.current_time()
    with pytest.raises(CallTimedOut):
        async with open_library_of(answers):
            raise AssertionError("it cannot be connected")
    assert trio.current_time() - began == pytest.approx(CONNECT_TIMEOUT)


async def test_a_connection_that_is_silent_is_ended_and_another_one_had(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whoever forwards it does not say that the other side has gone. One that answers goes on, if with an error."""

    async def serve(stream: MemoryStream) -> None:
        await answers(stream, HELLO, b'{"method":"noise"}', b'{"id":1,"error":{"code":-32603,"message":"no"}}')

    async with open_library_of(serve, eager=False, keepalive=15) as (client, door):
        assert (client.is_connected, door.opened) == (False, 0)
        follower = client.notifications()
        assert await anext(follower) == Gap()  # from the start
        await trio.sleep(44)
        assert client.is_connected
        began = trio.current_time()
        assert await anext(follower) == Gap()
        assert trio.current_time() - began < 2
        assert door.opened == 2


async def test_a_server_that_does_not_read_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """A request that does not leave ends the connection, and no half of one is followed by another."""

    async def serve(stream: MemoryStream) -> None:
        await answers(stream, HELLO)

    async with open_library_of(serve) as (client, _door):
        connection = client._connection
        assert connection is not None
        assert isinstance(connection._endpoint._stream, trio.StapledStream)

        async def stuck(data: bytes) -> None:
            await trio.sleep_forever()

        connection._endpoint._stream.send_stream.send_all = stuck
        with pytest.raises(ConnectionLost, match="did not read"):
            await client.read_account()
