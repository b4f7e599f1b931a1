"""What is on its way to one client: a bounded queue, sent in the order in which it was filled.

Sending is one task's work at a time: that of whoever has just filled the queue, with `batch`, which saves a
switch of tasks for every answer; else that of `run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.limits import Limits


class Outbox:
    """The outgoing half of a connection. `on_overflow` is called, once, when there is too much in it."""

    def __init__(self, stream: trio.abc.SendStream, limits: Limits, on_overflow: Callable[[], None]) -> None:
        self._stream = stream
        self._max_bytes, self._max_messages = limits.outbox_bytes, limits.outbox_messages
        self._on_overflow = on_overflow
        self._waiting: list[bytes] = []
        self._size = 0
        self._sending = False
        self._closed = False
        self._wake = trio.Event()

    def put(self, data: bytes) -> None:
        """Queue one message. Never waits and never raises; does nothing once the outbox is closed."""
        if self._closed or not data:
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size > self._max_bytes or len(self._waiting) > self._max_messages:
            self._closed = True
            self._on_overflow()
        if not self._sending:
            self._wake.set()

    def close(self) -> None:
        """Take no more; `run` ends when what is queued has been sent."""
        self._closed = True
        self._wake.set()

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

    async def run(self) -> None:
        """Send what is put outside of batches, until the outbox is closed. Raises BrokenResourceError.

        To be closed only when nothing is in a batch any more.
        """
        while True:
            await self.batch(lambda: None)
            if self._closed:
                return
            await self._wake.wait()
            self._wake = trio.Event()
