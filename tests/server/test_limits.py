"""What no client can have more of than its share; and what none leaves behind."""

from __future__ import annotations

import gc
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
import trio.testing

from accountd.config.limits import FIRST_MESSAGE, Limits
from accountd.framing.detect import DetectedFraming
from accountd.sandbox import Script
from accountd.server.connection import Connection
from accountd.server.door import Door, make_token_door
from accountd.server.guests import Guests
from accountd.server.serve import Server
from accountd.system.unix_socket import open_unix_listener
from fakes.client import CONFIG, DEVICE, HELLO, OVERLOADED, READ, Client, connected, open_client, rest_of
from fakes.frames import CONTINUATION, TEXT, frame, request
from fakes.world import open_world

if TYPE_CHECKING:
    pass


async def test_requests_of_all_clients_together_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """A client may have as many places as are left for the others, and one in any case."""
    door = Door("main", Limits(requests=16, requests_per_connection=16))
    async with open_world(Script(approve_after_polls=0, interval=0)) as world, AsyncExitStack() as crowd:
        async with open_client(world.services) as client:
            await client.send(DEVICE)
            for _ in range(3):
                await client.receive()
        world.sandbox.script = Script(delay=3)
        clients = [await crowd.enter_async_context(open_client(world.services, door=door)) for _ in range(6)]
        waiting: list[int] = []
        for client in clients[:-1]:
            await client.send(*({**READ, "id": number} for number in range(16)))
            await trio.testing.wait_all_tasks_blocked()
            waiting.append(door.load.requests - sum(waiting))
        assert waiting == [8, 4, 2, 1, 1]
        assert door.load.requests == 16
        assert "result" in await clients[-1].call("account/read", {})
        for client, number in zip(clients, waiting, strict=False):
            answers = [await client.receive() for _ in range(16)]
            assert [answer.get("error") for answer in answers].count(OVERLOADED) == 16 - number
        assert door.load.requests == 0


async def test_requests_of_a_client_that_leaves_are_counted_no_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Its waiting requests are given up with it, and their places are free."""
    door = Door("main", Limits())
    async with open_world(Script(delay=1000)) as world:
        async with connected(world.services, door) as (stream, connection):
            client = Client(stream, connection)
            await client.initialize()
            await client.send(DEVICE, READ, READ)
            await trio.testing.wait_all_tasks_blocked()
            assert door.load.requests == 3
        assert door.load.requests == 0


@pytest.mark.parametrize("framing", ["lines", "text frames", "fragments"])
@pytest.mark.parametrize("who", ["stranger", "guest", "client"])
async def test_a_message_may_be_as_large_as_configured(
    framing: str, who: str, autojump_clock: trio.testing.MockClock
) -> None:
    """By a client that has said who it is, and may do more than have a token; by others as large as 64 KiB."""
    limit = 200_000 if who == "client" else FIRST_MESSAGE
    limits = Limits(message_bytes=200_000)
    async with open_world() as world:
        guests = Guests(limits, world.services.counters.guests)
        door = make_token_door(limits, guests) if who == "guest" else Door("main", limits)
        for size in (limit, limit + 1):
            async with connected(world.services, door, message_bytes=200_000) as (stream, _):
                hello = HELLO if who != "stranger" else b"{}"
                message = b'{"id":1,"method":"x"'.ljust(size - 1) + b"}"
                parts = frame(TEXT, message[:100], fin=False) + frame(CONTINUATION, message[100:])
                await stream.send_all(
                    {
                        "lines": hello + b"\n" + message + b"\n",
                        "text frames": request() + frame(TEXT, hello) + frame(TEXT, message),
                        "fragments": request() + frame(TEXT, hello) + parts,
                    }[framing]
                )
                await stream.send_eof()
                told = await rest_of(stream)
                assert (b"message is larger than %d bytes" % limit in told) == (size > limit)
                assert (b'"id":1' in told) == (size <= limit)


@pytest.mark.parametrize("upgrade", [b"", request()], ids=["lines", "WebSocket"])
async def test_messages_whose_end_does_not_come_are_charged(upgrade: bytes) -> None:
    """Who comes when there is no room is told so; small messages are served, and who leaves gives all back."""
    door = Door("main", Limits(kept_bytes=8 << 20))
    load = door.load
    start = upgrade + (frame(TEXT, b"x" * 60_000, fin=False) if upgrade else b"x" * 60_000)
    async with open_world() as world:
        async with connected(world.services, door) as (stream, _), connected(world.services, door) as (other, two):
            await stream.send_all(start)
            await trio.testing.wait_all_tasks_blocked()
            assert 50_000 < (8 << 20) - load.spare <= 60_000
            spare, load.spare = load.spare, 0
            await stream.send_all(b"x" * 2000 if not upgrade else frame(CONTINUATION, b"x" * 2000, fin=False))
            assert b'"error":{"code":-32001,"message":"Server overloaded; retry later."}' in await rest_of(stream)
            client = Client(other, two)
            await client.initialize()
            assert "result" in await client.call("account/read", {})
            load.spare += spare
        assert load.spare == 8 << 20


async def test_a_large_message_that_was_answered_is_not_charged() -> None:
    """Neither as one that comes in, nor as a request that waits."""
    async with open_world() as world:
        door = Door("main", Limits())
        load = door.load
        async with connected(world.services, door) as (stream, connection):
            client = Client(stream, connection)
            await client.initialize()
            await client.send({**READ, "params": {"unknown": "x" * 500_000}})
            assert "result" in await client.receive()
            await trio.testing.wait_all_tasks_blocked()
            assert load.spare == Limits().kept_bytes


async def test_large_requests_that_wait_are_charged(autojump_clock: trio.testing.MockClock) -> None:
    """One for which there is no room is refused, and small ones are not; what was decoded is not kept besides."""
    door = Door("main", Limits())
    load = door.load
    async with open_world(Script(delay=3)) as world:
        async with connected(world.services, door) as (stream, connection):
            client = Client(stream, connection)
            await client.initialize()
            large = {**READ, "params": {"refreshToken": False, "unknown": "x" * 900_000}}
            await client.send(DEVICE, *({**large, "id": 100 + number} for number in range(10)), READ)
            assert await client.receive() == {"id": 109, "error": OVERLOADED}
            await trio.testing.wait_all_tasks_blocked()
            assert load.spare == pytest.approx(Limits().kept_bytes - 9 * 4 * 900_000, rel=0.01)
            for _ in range(11):
                assert "error" not in await client.receive()
            assert load.spare == Limits().kept_bytes


async def test_an_answer_that_is_not_read_is_no_reason_to_be_cut(autojump_clock: trio.testing.MockClock) -> None:
    """One of any size waits for its client; what is asked meanwhile may get an error in the place of another."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    async with open_world() as world, trio.open_nursery() as nursery:
        connection = Connection(theirs, DetectedFraming(), world.services, CONFIG)
        nursery.start_soon(connection.run)
        client = Client(ours, connection)  # type: ignore[arg-type]  # a stapled stream of another kind
        await client.initialize()
        await trio.testing.wait_all_tasks_blocked()
        large = b'{"id":"x","result":"%b"}' % (b"x" * (3 << 20))
        assert connection._offer(large)
        await trio.testing.wait_all_tasks_blocked()
        assert not connection._offer(large)
        await client.send(READ)
        assert await client.receive() == json.loads(large)
        assert "result" in await client.receive()
        nursery.cancel_scope.cancel()


async def test_too_many_small_messages_are_too_much(autojump_clock: trio.testing.MockClock) -> None:
    """A client that does not read is cut by their number, too, though their bytes would do."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    config = msgspec.structs.replace(CONFIG, limits=Limits(outbox_messages=8192, outbox_bytes=256 << 20))
    async with open_world() as world, trio.open_nursery() as nursery:
        connection = Connection(theirs, DetectedFraming(), world.services, config)
        nursery.start_soon(connection.run)
        client = Client(ours, connection)  # type: ignore[arg-type]  # a stapled stream of another kind
        await client.initialize()
        for _ in range(8192):
            connection._send(b"{}")
        assert not connection._whole.cancel_scope.cancel_called
        connection._send(b"{}")
        assert connection._whole.cancel_scope.cancel_called


async def test_connections_that_come_and_go_leave_nothing(tmp_path: Path) -> None:
    """On a real socket, in both framings, polite or not: no task, descriptor, subscription or object stays."""

    async def come_and_go(number: int) -> None:
        stream = await trio.open_unix_socket(tmp_path / "s")
        if number % 3 == 0:
            await stream.send_all(request() + frame(TEXT, HELLO) + frame(TEXT, b'{"id":1,"method":"account/read"}'))
        elif number % 3 == 1:
            await stream.send_all(HELLO + b"\n" + json.dumps(READ).encode() + b'\n{"half')
        if number % 2:
            await stream.receive_some() if number % 3 != 2 else None
        await stream.aclose()

    def count() -> tuple[Any, ...]:
        gc.collect()
        kinds = [type(thing).__name__ for thing in gc.get_objects()]
        tasks = trio.lowlevel.current_statistics().tasks_living
        watched = (
            "Connection",
            "Outbox",
            "Dispatcher",
            "Task",
            "Nursery",
            "CancelScope",
            "WSConnection",
            "coroutine",
        )
        return tasks, len(list(Path("/dev/fd").iterdir())), {kind: kinds.count(kind) for kind in watched}

    async with open_world() as world, trio.open_nursery() as nursery:
        server = Server(world.services, CONFIG)
        with open_unix_listener(tmp_path / "s") as listener:
            nursery.start_soon(server.serve_socket, listener, nursery)
            counts = []
            for _ in range(3):
                for number in range(60):
                    await come_and_go(number)
                while server._connections:  # noqa: ASYNC110 - when a real socket closes is the kernel's to tell
                    await trio.sleep(0.01)
                await trio.testing.wait_all_tasks_blocked()
                counts.append((*count(), len(world.services.hub._subscriptions)))
            nursery.cancel_scope.cancel()
    assert counts[1] == counts[2]
