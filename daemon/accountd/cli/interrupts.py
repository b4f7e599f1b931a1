"""Ctrl-C and SIGTERM as something that a wait can end on, instead of an exception in the middle of anything."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self


class Interrupts:
    """While it is entered, `readable` turns readable when a signal comes; `take` says which and resets it.

    Signals that were ignored when the command started, as under nohup, stay ignored.
    """

    def __enter__(self) -> Self:
        self.readable, self._writable = socket.socketpair()
        self.readable.setblocking(False)
        self._writable.setblocking(False)
        caught = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
        self._wakeup_fd = signal.set_wakeup_fd(self._writable.fileno(), warn_on_full_buffer=False)
        # With a handler of Python's, even one that does nothing, the signal's number is written to the socket.
        self._handlers = {number: signal.signal(number, lambda *_: None) for number in caught}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_fd)
        self.readable.close()
        self._writable.close()

    def take(self) -> int:
        """Give the number of the first signal that came. Raises BlockingIOError if none did."""
        return self.readable.recv(4096)[0]
