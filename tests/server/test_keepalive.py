"""How long a client may say nothing: before it initializes, and on a WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.framing.detect import DetectedFraming
from accountd.server.connection import DRAIN_TIMEOUT, Connection
from fakes.client import CONFIG, HELLO, Client, connected, rest_of
from fakes.frames import TEXT, frame, request
from fakes.world import open_world

if TYPE_CHECKING:
    from fakes.client import MemoryStream

PING, PONG = b"\x89\x00", b"\x8a\x80mask"


async def test_who_never_initializes_is_shown_out(autojump_clock: trio.testing.MockClock) -> None:
    """Neither silence nor rubbish gains time: after the handshake's seconds the client is told why, and is gone."""
    complaint = b'"message":"not initialized within 60 seconds"'
    async with open_world() as world:
        async with connected(world.services) as (stream, _):
            assert complaint not in await rest_of(stream)  # it is not known what the client would understand
            assert trio.current_time() == pytest.approx(60)
        async with connected(world.services) as (stream, _):
            start = trio.current_time()
            for _ in range(5):
                await stream.send_all(b"{}\n")
                await trio.sleep(11)
            assert (await rest_of(stream)).endswith(b'"error":{"code":-32600,' + complaint + b"}}\n")
            assert trio.current_time() - start == pytest.approx(60)
        async with connected(world.services) as (stream, _):
            start = trio.current_time()
            await stream.send_all(request())
            told = await rest_of(stream)
            assert complaint in told
            assert told.endswith(b"\x88\x02\x03\xe8")  # a close, as WebSocket has it
            assert trio.current_time() - start == pytest.approx(60)


async def test_who_neither_initializes_nor_reads_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    """An answer that cannot leave does not keep the connection."""
    ours, theirs = trio.testing.lockstep_stream_pair()  # where nothing leaves that is not read
    async with open_world() as world:
        with trio.fail_after(60 + 2 * DRAIN_TIMEOUT):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Connection(theirs, DetectedFraming(), world.services, CONFIG).run)
                await ours.send_all(b"rubbish\n")


async def test_a_client_that_is_initialized_may_be_silent(autojump_clock: trio.testing.MockClock) -> None:
    """For ever, if it writes lines; it costs no timer."""
    async with open_world() as world, connected(world.services) as (stream, connection):
        client = Client(stream, connection)
        await client.initialize()
        await trio.testing.wait_all_tasks_blocked()
        assert connection._keepalive.deadline == connection._whole.cancel_scope.deadline == float("inf")
        await trio.sleep(86_000)
        assert "result" in await client.call("account/read", {})


async def open_websocket(stream: MemoryStream) -> None:
    """Upgrade and initialize, and read the answers."""
    await stream.send_all(request() + frame(TEXT, HELLO))
    seen = b""
    while b'"platformOs"' not in seen:
        seen += bytes(await stream.receive_some())


async def test_a_silent_websocket_is_asked_whether_it_is_there(autojump_clock: trio.testing.MockClock) -> None:
    """A ping after five minutes of silence; whatever the client says then gains it another five."""
    async with open_world() as world, connected(world.services) as (stream, connection):
        await open_websocket(stream)
        start = trio.current_time()
        for answer in (PONG, frame(TEXT, b"{}"), PONG):
            assert bytes(await stream.receive_some(2)) == PING
            assert trio.current_time() - start == pytest.approx(300)
            await trio.sleep(100)
            start = trio.current_time()
            await stream.send_all(answer)
            if answer != PONG:
                await stream.receive_some()
        await trio.testing.wait_all_tasks_blocked()
        assert connection._framing._framing._frames is None  # type: ignore[attr-defined]  # still read the fast way


async def test_a_websocket_that_does_not_answer_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    """It is told why, in case it is only slow."""
    async with open_world() as world, connected(world.services, ping_seconds=10, pong_seconds=20) as (stream, _):
        await open_websocket(stream)
        start = trio.current_time()
        told = await rest_of(stream)
        assert trio.current_time() - start == pytest.approx(30)
        assert told.startswith(PING)
        assert b"no answer to a ping within 20 seconds" in told


async def test_a_websocket_that_does_not_even_read_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    """Neither the ping nor the reason can be sent to it, and nobody waits for that."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    async with open_world() as world, trio.open_nursery() as nursery:
        nursery.start_soon(Connection(theirs, DetectedFraming(), world.services, CONFIG).run)
        await open_websocket(ours)  # type: ignore[arg-type]  # a stapled stream of another kind
        with trio.fail_after(600 + 2 * DRAIN_TIMEOUT):
            await trio.testing.wait_all_tasks_blocked()
            while nursery.child_tasks:  # noqa: ASYNC110 - the clock is to jump
                await trio.sleep(1)


async def test_pings_can_be_turned_off(autojump_clock: trio.testing.MockClock) -> None:
    """Then a WebSocket costs no timer either."""
    async with open_world() as world, connected(world.services, ping_seconds=0) as (stream, connection):
        await open_websocket(stream)
        await trio.testing.wait_all_tasks_blocked()
        assert connection._keepalive.deadline == float("inf")
