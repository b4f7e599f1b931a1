"""What is on its way to one client: a bounded queue, sent in the order in which it was filled.

Sending is one task's work at a time: that of whoever has just filled the queue, with `batch`, which saves a
switch of tasks for every answer; else that of a writer, which is started for it and ends when all is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from accountd.limits import Limits


class Outbox:
    """The outgoing half of a connection.

    `start_writer` is called when something waits and nobody sends it; it is to start a task for `flush`.
    `on_overflow` is called, once, when there is too much.
    """

    def __init__(
        self,
        stream: trio.abc.SendStream,
        limits: Limits,
        start_writer: Callable[[], None],
        on_overflow: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._max_bytes, self._max_messages = limits.outbox_bytes, limits.outbox_messages
        self._start_writer = start_writer
        self._on_overflow = on_overflow
        self._waiting: list[bytes] = []
        self._size = 0
        self._sending = False
        self._writer_starts = False
        self._closed = False

    def put(self, data: bytes) -> None:
        """Queue one message. Never waits and never raises; does nothing once the outbox is closed."""
        if self._closed or not data:
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size > self._max_bytes or len(self._waiting) > self._max_messages:
            self._closed = True
            self._on_overflow()
        if not self._sending and not self._writer_starts:
            self._writer_starts = True
            self._start_writer()

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
                data, self._waiting, self._size = b"".join(self._waiting), [], 0
                await self._stream.send_all(data)
        finally:
            self._sending = False

    async def flush(self) -> None:
        """Be the writer: send all that is queued, unless another task is sending. Raises BrokenResourceError."""
        self._writer_starts = False
        await self.batch(lambda: None)
