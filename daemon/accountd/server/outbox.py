"""What is on its way to one client: a bounded queue, sent in the order in which it was filled.

Sending is one task's work at a time: that of whoever has just filled the queue, with `batch`, which saves a
switch of tasks for every answer; else that of a writer, which is started for it and ends when all is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.server.overload import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from accountd.config.limits import Limits
    from accountd.server.overload import Allowance


class Outbox:
    """The outgoing half of a connection. What waits in it is within its `allowance`.

    `start_writer` is called when something waits and nobody sends it; it is to start a task for `flush`.
    `on_overflow` is called, once, when there is too much.
    """

    def __init__(
        self,
        stream: trio.abc.SendStream,
        limits: Limits,
        allowance: Allowance,
        start_writer: Callable[[], None],
        on_overflow: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._max_bytes, self._max_messages = limits.outbox_bytes, limits.outbox_messages
        self._allowance = allowance
        self._start_writer = start_writer
        self._on_overflow = on_overflow
        self._waiting: list[bytes] = []
        self._size = 0  # of what waits, and of what is being sent
        self._first = 0  # of that, a message that was large and found nothing waiting
        self._sending = False
        self._writer_starts = False
        self._closed = False

    def offer(self, data: bytes) -> bool:
        """Queue one message; False, and it is not, if there is too much already. Never waits and never raises.

        One that finds nothing waiting may be of any size, since its client cannot have read it yet. Once the outbox
        is closed, nothing is queued.
        """
        if self._closed or not data:
            return True
        size = self._size + len(data)
        if size > self._allowance.size:
            first = self._first if self._size else size * (size > self._max_bytes)
            if size - first > self._max_bytes or not self._allowance.grow(size):
                return False
            self._first = first
        if len(self._waiting) >= self._max_messages:
            return False
        self._size = size
        self._waiting.append(data)
        if not self._sending and not self._writer_starts:
            self._writer_starts = True
            self._start_writer()
        return True

    def put(self, data: bytes) -> None:
        """Queue one message that must not be missing; if there is too much already, tell the owner."""
        if not self.offer(data):
            self._closed = True
            self._on_overflow()

    def close(self) -> None:
        """Take no more; what is queued is still sent."""
        self._closed = True

    async def batch(self, fill: Callable[[], None]) -> None:
        """Call `fill`, which may `put`, and send all that is queued then, unless another task is sending.

        Raises BrokenResourceError when the client is gone. Cancelling may leave half a message sent.
        """
        if self._sending:
            fill()
            return
        self._sending = True
        try:
            fill()
            while self._waiting:
                data, self._waiting = b"".join(self._waiting), []
                await self._stream.send_all(data)
                self._size -= len(data)
                if self._allowance.size > SMALL:
                    self._allowance.resize(self._size)
                    self._first = 0
        finally:
            self._sending = False

    async def flush(self) -> None:
        """Be the writer: send all that is queued, unless another task is sending. Raises BrokenResourceError."""
        self._writer_starts = False
        await self.batch(lambda: None)
