"""What is on its way to one client: no more than it may have waiting, and charged to its share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.rpc.outbox import Outbox
from accountd.server.overload import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from accountd.config.limits import Limits
    from accountd.server.overload import Allowance


class BoundedOutbox(Outbox):
    """An outbox within the limits, and within its `allowance`. `on_overflow` is called, once, at too much.

    A message that finds nothing waiting may be of any size, since its client cannot have read it yet.
    """

    def __init__(
        self,
        stream: trio.abc.SendStream,
        limits: Limits,
        allowance: Allowance,
        start_writer: Callable[[], None],
        on_overflow: Callable[[], None],
    ) -> None:
        super().__init__(stream.send_all, start_writer)
        self._max_bytes, self._max_messages = limits.outbox_bytes, limits.outbox_messages
        self._granted = allowance.size
        self._allowance = allowance
        self._on_overflow = on_overflow
        self._first = 0  # of what waits, a message that was large and found nothing waiting

    def put(self, data: bytes) -> None:
        """Queue one message that must not be missing; if there is too much already, tell the owner."""
        if not self.offer(data):
            self._closed = True
            self._on_overflow()

    def _admit(self, size: int) -> bool:
        first = self._first if self._size else size * (size > self._max_bytes)
        if size - first > self._max_bytes or not self._allowance.grow(size):
            return False
        self._first, self._granted, self._watched = first, self._allowance.size, True
        return True

    def _note_left(self) -> None:
        super()._note_left()
        self._allowance.resize(self._size)
        self._granted = self._allowance.size
        self._watched = self._granted > SMALL
        self._first = 0
