"""One side of a connection, over streams in memory, against another one or against bytes by hand."""

from __future__ import annotations

import json
import math
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
import trio.testing

from accountd.framing.ndjson import NdjsonFraming
from accountd.framing.websocket import WebSocketClientFraming, WebSocketFraming
from accountd.rpc.endpoint import LAST_WORDS, ROOM, Endpoint
from accountd.rpc.pending import ConnectionEnded, PeerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from accountd.rpc.peek import Envelope
    from fakes.client import MemoryStream


class Scene:
    """An endpoint, what it has heard, and the other end of its stream, where lines are written by hand."""

    def __init__(self, nursery: trio.Nursery, **options: Any) -> None:
        ours, self.theirs = trio.testing.memory_stream_pair()
        self.ours: MemoryStream = ours
        self.heard: list[bytes] = []
        self.endpoint = Endpoint(ours, NdjsonFraming(), self._hear, **options)
        self.nursery = nursery
        self.outcomes: list[object] = []

    def _hear(self, envelope: Envelope | None, payload: bytes) -> None:
        self.heard.append(payload)

    async def ask(self, params: object = None) -> None:
        """Ask in a task of its own, and come back when it waits."""
        self.nursery.start_soon(self._ask, params)
        await trio.testing.wait_all_tasks_blocked()

    async def _ask(self, params: object) -> None:
        try:
            result = await self.endpoint.request("m", params, self._see)
        except (PeerError, ConnectionEnded) as error:
            self.outcomes.append(f"{type(error).__name__}: {error}")
        else:
            self.outcomes.append(msgspec.json.decode(result, type=str))

    def _see(self, result: msgspec.Raw) -> None:
        self.heard.append(bytes(result))

    async def say(self, *lines: bytes) -> None:
        """Have the other side say this, in one piece, and come back when it has been taken."""
        await self.theirs.send_all(b"".join(line + b"\n" for line in lines))
        await trio.testing.wait_all_tasks_blocked()

    async def told(self) -> list[Any]:
        """Give what the other side has been told since."""
        await trio.testing.wait_all_tasks_blocked()
        return [json.loads(line) for line in bytes(await self.theirs.receive_some()).splitlines()]

    def hold_back(self, seconds: float) -> list[bytes]:
        """Have whatever is sent take so long; give what has been sent then."""
        sent: list[bytes] = []

        async def take_slowly(data: bytes | bytearray | memoryview) -> None:
            await trio.sleep(seconds)
            sent.append(bytes(data))

        self.ours.send_stream.send_all = take_slowly  # type: ignore[method-assign]  # the other side's doing
        return sent


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[Scene]:
    """Run an endpoint for the block."""
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery, **options)
        await nursery.start(scene.endpoint.run)
        yield scene
        scene.endpoint.end("was left")


async def test_answers_find_their_requests_and_all_else_is_heard_in_order() -> None:
    """What is seen of an answer is seen between what came before it and after; whoever asked goes on later."""
    async with opened() as scene:
        await scene.ask()
        await scene.ask()
        assert await scene.told() == [{"method": "m", "id": number, "params": None} for number in (0, 1)]
        told: list[bytes] = [
            b'{"method":"a"}',
            b'{"id":1,"result":"one"}',
            b'{"id":0,"method":"b"}',  # a request of theirs, whose ids are theirs
            b'{"id":0,"result":"none"}',
            b'{"id":0,"result":"again"}',  # which answers nothing
            b'{"id":7,"result":"whose?"}',
            b"rubbish",
        ]
        await scene.say(*told)
        assert scene.heard == [told[0], b'"one"', told[2], b'"none"', told[5], told[6]]
        assert sorted(map(str, scene.outcomes)) == ["none", "one"]


async def test_what_is_passed_on_keeps_its_ids() -> None:
    """With a prefix of its own, an endpoint asks in between without a likeness to any id of a client's."""
    async with opened(prefix="accountd-") as scene:
        scene.endpoint.send(b'{"id":0,"method":"theirs"}')
        await scene.ask()
        assert [message["id"] for message in await scene.told()] == [0, "accountd-0"]
        await scene.say(b'{"id":0,"result":"theirs"}', b'{"id":"accountd-0","result":"ours"}')
        assert scene.heard == [b'{"id":0,"result":"theirs"}', b'"ours"']
        assert scene.outcomes == ["ours"]


@pytest.mark.parametrize(
    ("last", "how"),
    [
        (b"", "closed the connection"),
        (b'{"id":1,"result":', "closed the connection"),
        (b"x" * ((1 << 20) + 1), "broke a rule: message is larger than 1048576 bytes"),
    ],
)
async def test_the_end_fails_what_waits_after_what_came_before_it(last: bytes, how: str) -> None:
    """An answer just before the end counts; every other request fails, once, and so does each later one."""
    async with opened() as scene:
        for _ in range(3):
            await scene.ask()
        scene.nursery.start_soon(scene.theirs.send_all, b'{"id":2,"result":"in time"}\n{"method":"bye"}\n' + last)
        await trio.testing.wait_all_tasks_blocked()
        await scene.theirs.send_stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        await scene.ask()
        ended = f"ConnectionEnded: {how}"
        assert sorted(map(str, scene.outcomes)) == [*[ended] * 3, "in time"]
        assert scene.heard[:2] == [b'"in time"', b'{"method":"bye"}']
        with pytest.raises(ConnectionEnded, match=how):
            scene.endpoint.send(b"{}")
        scene.endpoint.end("was left")
        assert str(scene.endpoint.ended) == how


async def test_a_cancelled_run_fails_what_waits() -> None:
    """Whoever asks in another nursery than the endpoint's does not wait for ever."""
    async with trio.open_nursery() as askers:
        askers.cancel_scope.deadline = trio.current_time() + 5
        async with trio.open_nursery() as nursery:
            scene = Scene(askers)
            await nursery.start(scene.endpoint.run)
            await scene.ask()
            nursery.cancel_scope.cancel()
    assert scene.outcomes == ["ConnectionEnded: was left"]


async def test_what_was_put_leaves_before_the_end() -> None:
    """Whoever ends a connection has said what they have said."""
    async with opened() as scene:
        scene.endpoint.send(b'{"method":"last words"}')
        scene.endpoint.end("was left")
        assert await scene.told() == [{"method": "last words"}]


async def test_the_last_words_of_one_who_does_not_listen_are_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Writing fails first; what had been said by then, or is said within a second, says why."""
    async with opened() as scene:
        await scene.theirs.receive_stream.aclose()
        await scene.ask()
        began = trio.current_time()
        await scene.say(b'{"id":0,"result":"I am going"}')
        await scene.ask()
        await trio.sleep(2 * LAST_WORDS)
        assert scene.outcomes == ["I am going", "ConnectionEnded: closed the connection"]
        assert trio.current_time() - began <= 3 * LAST_WORDS


async def test_who_does_not_take_what_is_sent_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """After the time that was given for it; half of a message is not followed by another."""
    async with opened(send_timeout=10) as scene:
        scene.hold_back(math.inf)
        began = trio.current_time()
        await scene.ask()
        await scene.ask()
        sent = scene.hold_back(0)  # of what comes behind it
        await trio.sleep(11)
        assert sent == []
        assert scene.outcomes == ["ConnectionEnded: did not read for 10 seconds"] * 2
        assert trio.current_time() - began == pytest.approx(11)


@pytest.mark.parametrize("room", [ROOM, 2 * ROOM])
async def test_a_full_outbox_stops_whoever_fills_it_and_nobody_is_cut(
    autojump_clock: trio.testing.MockClock, room: int
) -> None:
    """One that passes on what it reads reads no more until there is room; a request waits as well."""
    async with opened(room=room) as slow:
        sent = slow.hold_back(1)
        async with opened(before_reading=slow.endpoint.wait_room) as quick:
            await trio.testing.wait_all_tasks_blocked()
            slow.endpoint.send(b"x" * (room - 2))
            await slow.endpoint.wait_room()
            slow.endpoint.send(b"x")
            await slow.ask()
            await quick.say(b'{"method":"first"}')  # for which it was reading already
            await quick.say(b'{"method":"second"}')
            assert quick.heard == [b'{"method":"first"}']
            await trio.sleep(1.5)
            assert quick.heard == [b'{"method":"first"}', b'{"method":"second"}']
        await trio.sleep(2)
        assert [len(data) > ROOM for data in sent] == [True, False]


def open_socket(ours: socket.socket) -> trio.abc.Stream:
    """Give the stream of a socket."""
    return trio.SocketStream(trio.socket.from_stdlib_socket(ours))


def open_halves(ours: socket.socket) -> trio.abc.Stream:
    """Give a stream of two halves, of which one has two halves itself."""
    stream = open_socket(ours)
    return trio.StapledStream(trio.StapledStream(stream, stream), stream)


def open_descriptor(ours: socket.socket) -> trio.abc.Stream:
    """Give the stream of a descriptor, as of standard output, and of another one that is read."""
    return trio.StapledStream(trio.lowlevel.FdStream(ours.detach()), trio.testing.MemoryReceiveStream())


@pytest.mark.parametrize("open_stream", [open_socket, open_halves, open_descriptor])
async def test_what_is_taken_is_sent_at_once_and_the_rest_in_order(
    open_stream: Callable[[socket.socket], trio.abc.Stream],
) -> None:
    """Without a switch of tasks; what does not fit any more waits for its turn, from the middle of a message on."""
    ours, theirs = socket.socketpair()
    endpoint = Endpoint(open_stream(ours), NdjsonFraming(), lambda *_: None)
    messages = [b'{"method":"%d%b"}' % (number, b"x" * 9000) for number in range(200)]
    with theirs:
        async with trio.open_nursery() as nursery:
            await nursery.start(endpoint.run)
            endpoint.send(messages[0])
            assert theirs.recv(1 << 20, socket.MSG_DONTWAIT) == messages[0] + b"\n"
            received = b""
            for message in messages[1:]:
                endpoint.send(message)
                if message is messages[100]:
                    received += theirs.recv(1 << 16)  # so that there is room, and something that waits for it
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(theirs.dup()))
            while received.count(b"\n") < len(messages) - 1:
                received += bytes(await stream.receive_some())
            assert received.splitlines() == messages[1:]
            await stream.aclose()
            endpoint.end("was left")
            with pytest.raises(ConnectionEnded, match="was left"):
                endpoint.send(b"{}")


async def test_giving_a_request_up_cuts_no_message() -> None:
    """It has been put as a whole before anybody could be cancelled; its answer is let go."""
    async with opened() as scene:
        with trio.move_on_after(0.01):
            await scene.endpoint.request("given up", None)
        await scene.ask()
        assert [message["method"] for message in await scene.told()] == ["given up", "m"]
        await scene.say(b'{"id":0,"result":"late"}', b'{"id":1,"result":"mine"}')
        assert scene.outcomes == ["mine"]
        assert scene.heard == [b'"mine"']


async def test_two_ask_each_other_over_a_websocket() -> None:
    """Both count from 0; the client begins when it has been let in, and the end is said in the framing's way."""
    near, far = trio.testing.memory_stream_pair()
    endpoints: list[Endpoint] = []

    def echo(number: int) -> Callable[[Envelope | None, bytes], None]:
        def hear(envelope: Envelope | None, payload: bytes) -> None:
            asked = json.loads(payload)
            endpoints[number].send(json.dumps({"id": asked["id"], "result": asked["params"]}).encode())

        return hear

    async with trio.open_nursery() as nursery:
        endpoints.append(Endpoint(near, WebSocketClientFraming(), echo(0)))
        endpoints.append(Endpoint(far, WebSocketFraming(), echo(1)))
        with pytest.raises(ConnectionEnded, match="is not ready"):
            endpoints[0].send(b"{}")
        nursery.start_soon(endpoints[1].run)
        await nursery.start(endpoints[0].run)
        for number in range(3):
            for endpoint in endpoints:
                assert bytes(await endpoint.request("echo", number)) == b"%d" % number
        endpoints[0].end("was left")
        await trio.testing.wait_all_tasks_blocked()
        assert [str(endpoint.ended) for endpoint in endpoints] == ["was left", "closed the connection"]


async def test_who_is_no_websocket_is_told_at_the_start() -> None:
    """The start fails with what was wrong, and nothing else does."""
    near, far = trio.testing.memory_stream_pair()
    endpoint = Endpoint(near, WebSocketClientFraming(), lambda *_: None)
    await far.send_all(b"HTTP/1.1 404 Not Found\r\n\r\n")
    async with trio.open_nursery() as nursery:
        with pytest.raises(ConnectionEnded, match="broke a rule: not a WebSocket answer: the answer is 404"):
            await nursery.start(endpoint.run)
    await endpoint_that_nobody_waits_for(far)


async def endpoint_that_nobody_waits_for(stream: MemoryStream) -> None:
    """One that is only run ends without an exception, whatever it met."""
    await stream.aclose()
    await Endpoint(stream, WebSocketClientFraming(), lambda *_: None).run()
