"""One side of a connection: what is asked finds its answer, and everything else is heard.

    stream ─▶ framing ─▶ reader ─┬─▶ pending       answers to what this side has asked
                                 └─▶ hear          all else, as it came
    request, send ─▶ outbox ─▶ writer ─▶ stream

**Order.** What is put into the outbox leaves in that order: putting never waits, and one task at a time sends. So a
message is never cut in two by whoever is cancelled, and none overtakes another. What comes is taken in the order in
which the other side sent it, one message after the other, each wholly before the next: `hear`, and the `seen` of a
request, are called by the reader and cannot wait. A task that waits for an answer goes on later; whatever must be
known before the next message is read belongs into `seen`.

**Room.** Whoever puts much asks for room first, with `wait_room`, and one that only passes on what it reads does so
before it reads: `before_reading`. Then a side that does not read stops those who write to it, and nobody else, and
what waits for it is bounded by that room and what one read may bring.

**The end.** A connection ends once, and `ended` says how. What came before the end has been heard by then. Then
every request that waits fails, and so does each later one. What had been put still leaves if the other side takes
it, and the framing's good-bye behind it. When writing fails, what the other side had said before it left is still
read: its last words are often why.
"""

from __future__ import annotations

import math
import os
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from accountd.framing.base import Ended, Message, Rejected, Reply
from accountd.protocol.jsonrpc import render_request
from accountd.rpc.outbox import Outbox
from accountd.rpc.peek import Envelope, peek
from accountd.rpc.pending import ConnectionEnded, Pending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from msgspec import Raw

    from accountd.framing.base import Event, Framing

ROOM: Final = 1 << 20
"""Bytes of it, where nothing else is said."""

LAST_WORDS: Final = 1.0
"""Seconds, at the end, for what waits to leave, or for what was said to be read."""

_CHUNK: Final = 64 << 10


class Endpoint:
    """To be `run` once. `ended` is None until the connection has ended.

    `hear` is called with each message that is not an answer to a request made here: with what it is, None for bytes
    that are no message, and with the message itself. `before_reading` is awaited each time before more is read.
    `send_timeout` is how many seconds what is sent may take to be taken, and `room` how many bytes may wait to
    leave before whoever asks for room has to wait. For `prefix`, see Pending.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        framing: Framing,
        hear: Callable[[Envelope | None, bytes], None],
        *,
        prefix: str | None = None,
        before_reading: Callable[[], Awaitable[None]] | None = None,
        send_timeout: float = math.inf,
        room: int = ROOM,
    ) -> None:
        self.ended: ConnectionEnded | None = None
        self._stream = stream
        self._framing = framing
        self._hear = hear
        self._before_reading = before_reading
        self._send_timeout = send_timeout
        self._room = room
        self._pending = Pending(prefix)
        self._outbox = Outbox(self._send_all, self._start_writer, _find_send_now(stream))
        self._reading = trio.CancelScope()
        self._was_open = False

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read until the connection ends, and close the stream. Raises nothing of the other side's doing.

        Only when it was started with `nursery.start`, which returns as soon as messages can be sent, it raises
        ConnectionEnded if that does not come to be.
        """
        try:
            async with self._stream, trio.open_nursery() as self._nursery:
                self._outbox.put(self._framing.open())
                with self._reading:
                    await self._read(task_status)
                self.end("closed the connection")
                self._outbox.put(self._framing.close())
                self._outbox.close()
                self._nursery.cancel_scope.deadline = trio.current_time() + LAST_WORDS
        finally:
            self.end("was left")
            self._outbox.close()
        if not self._was_open and task_status is not trio.TASK_STATUS_IGNORED:
            raise ConnectionEnded(str(self.ended))

    def end(self, how: str) -> None:
        """End the connection, unless it has ended; `how` says what became of the other side, as a verb's phrase."""
        if self.ended is None:
            self.ended = ConnectionEnded(how)
            self._pending.end(how)
            self._reading.cancel()

    async def request(self, method: str, params: object, seen: Callable[[Raw], None] | None = None) -> Raw:
        """Ask, and return the result. Raises PeerError or ConnectionEnded. See Pending.ask for `seen`."""
        await self.wait_room()
        return await self._pending.ask(lambda number: self.send(render_request(number, method, params)), seen)

    def send(self, payload: bytes) -> None:
        """Queue a message, as it is. Raises ConnectionEnded, also if the connection is not open yet."""
        if self.ended is not None:
            raise ConnectionEnded(str(self.ended))
        data = self._framing.send(payload)
        if not data:
            raise ConnectionEnded("is not ready")
        self._outbox.put(data)

    @property
    def has_room(self) -> bool:
        """Return True if `wait_room` would not wait."""
        return self._outbox.has_room(self._room)

    async def wait_room(self) -> None:
        """Wait until there is room, or the connection ends."""
        await self._outbox.wait_room(self._room)

    async def _read(self, task_status: trio.TaskStatus[None]) -> None:
        while True:
            if not self._was_open and self._framing.is_open:
                self._was_open = True
                task_status.started()
            if self._before_reading is not None:
                await self._before_reading()
            try:
                data = bytes(await self._stream.receive_some(_CHUNK))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # what is left of a line is no message
            for event in self._framing.receive(data):
                self._take(event)
                if self._reading.cancel_called:
                    return

    def _take(self, event: Event) -> None:
        match event:
            case Message(payload):
                envelope = peek(payload)
                if envelope is None or envelope.kind != "response" or not self._settle(envelope):
                    self._hear(envelope, payload)
            case Reply(data):
                self._outbox.put(data)
            case Ended(None):
                self.end("closed the connection")
            case Rejected(complaint) | Ended(complaint):
                self.end(f"broke a rule: {complaint}")

    def _settle(self, answer: Envelope) -> bool:
        return self._pending.settle(answer.id, answer.result, answer.error)

    def _start_writer(self) -> None:
        self._nursery.start_soon(self._write)

    async def _write(self) -> None:
        try:
            await self._outbox.flush()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._outbox.close()
            self._reading.deadline = trio.current_time() + LAST_WORDS

    async def _send_all(self, data: bytes) -> None:
        with trio.move_on_after(self._send_timeout) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            self.end(f"did not read for {self._send_timeout:g} seconds")
            raise trio.BrokenResourceError  # half a message may have left


def _find_send_now(stream: trio.abc.SendStream) -> Callable[[bytes], int] | None:
    """Find what writes to a stream as much as goes without waiting; None for one that is no descriptor."""
    while isinstance(stream, trio.StapledStream):
        stream = stream.send_stream
    if isinstance(stream, trio.SocketStream):
        return partial(_send_now, stream.socket.fileno)
    return partial(_send_now, stream.fileno) if isinstance(stream, trio.lowlevel.FdStream) else None


def _send_now(fileno: Callable[[], int], data: bytes) -> int:
    """Write what there is room for; what is wrong with it, whoever waits for room will find out."""
    try:
        return os.write(fileno(), data)
    except OSError:
        return 0
