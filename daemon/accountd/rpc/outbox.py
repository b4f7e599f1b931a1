"""What is on its way to the other side: a queue, sent in the order in which it was filled.

Sending is one task's work at a time: that of whoever has just filled the queue, with `batch`, which saves a
switch of tasks for every answer; else that of a writer, which is started for it and ends when all is sent. What
finds nothing before it needs neither where it can be sent at once: a third of what it costs to pass a message on.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Outbox:
    """The outgoing half of a connection; of any size, so whoever puts much asks for room first.

    `send` sends bytes, all of them. `start_writer` is called when something waits and nobody sends it; it is to
    start a task for `flush`. `send_now` sends the beginning of some bytes, as much as goes without waiting, and
    gives how much that is; it never raises.
    """

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        start_writer: Callable[[], None],
        send_now: Callable[[bytes], int] | None = None,
    ) -> None:
        self._send = send
        self._start_writer = start_writer
        self._send_now = send_now
        self._waiting: list[bytes] = []
        self._size = 0  # of what waits, and of what is being sent
        self._granted = sys.maxsize  # bytes that may wait without asking `_admit`
        self._max_messages = sys.maxsize
        self._sending = False
        self._writer_starts = False
        self._closed = False
        self._watched = False  # `_note_left` has something to do
        self._has_room: trio.Event | None = None  # that somebody waits for

    def offer(self, data: bytes) -> bool:
        """Queue one message; False, and it is not, if there is too much already. Never waits and never raises.

        Once the outbox is closed, nothing is queued.
        """
        if self._closed or not data:
            return True
        size = self._size + len(data)
        if len(self._waiting) >= self._max_messages or (size > self._granted and not self._admit(size)):
            return False
        if self._send_now is not None and not self._size:
            sent = self._send_now(data)
            if sent == len(data):
                return True
            data, size = data[sent:], size - sent
        self._size = size
        self._waiting.append(data)
        if not self._sending and not self._writer_starts:
            self._writer_starts = True
            self._start_writer()
        return True

    def put(self, data: bytes) -> None:
        """Queue one message, of an outbox that takes any."""
        self.offer(data)

    def has_room(self, size: int) -> bool:
        """Return True if fewer bytes than that wait to leave, or the outbox is closed."""
        return self._size < size or self._closed

    async def wait_room(self, size: int) -> None:
        """Wait until there is room for so many bytes."""
        while not self.has_room(size):
            if self._has_room is None:
                self._has_room, self._watched = trio.Event(), True
            await self._has_room.wait()

    def close(self) -> None:
        """Take no more; what is queued is still sent."""
        self._closed = True
        self._note_left()

    async def batch(self, fill: Callable[[], None]) -> None:
        """Call `fill`, which may `put`, and send all that is queued then, unless another task is sending.

        Raises what `send` raises, as when the other side is gone. Cancelling may leave half a message sent.
        """
        if self._sending:
            fill()
            return
        self._sending = True
        try:
            fill()
            while self._waiting:
                data, self._waiting = b"".join(self._waiting), []
                await self._send(data)
                self._size -= len(data)
                if self._watched:
                    self._note_left()
        finally:
            self._sending = False

    async def flush(self) -> None:
        """Be the writer: send all that is queued, unless another task is sending. Raises as `batch` does."""
        self._writer_starts = False
        await self.batch(lambda: None)

    def _admit(self, size: int) -> bool:
        """Return True if so many bytes may wait, which are more than has been granted."""
        return size <= self._granted

    def _note_left(self) -> None:
        """Wake whoever waits for room: something has left, or nothing will be taken any more."""
        self._watched = False
        if self._has_room is not None:
            self._has_room.set()
            self._has_room = None
