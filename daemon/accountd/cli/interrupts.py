"""Ctrl-C and SIGTERM as something that a wait can end on, instead of an exception in the middle of anything."""

from __future__ import annotations

import select
import signal
import socket
from typing import TYPE_CHECKING

from accountd.client.errors import Interrupted

if TYPE_CHECKING:
    from typing import Self

_WOKEN = b"\0"
"""The byte between those of signals, none of which has this number."""


class Interrupts:
    """While it is entered, `readable` turns readable when a signal comes; `take` says which and resets it.

    Signals that were ignored when the command started, as under nohup, stay ignored. Another thread ends a wait
    with `wake`.
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

    def wait(self, seconds: float) -> None:
        """Wait for so long. Raises Interrupted if a signal comes first."""
        if select.select([self.readable], [], [], seconds)[0]:
            raise Interrupted

    def take(self) -> int:
        """Return the number of the first signal that came. Raises BlockingIOError if none did."""
        while not (numbers := self.readable.recv(4096).strip(_WOKEN)):
            pass
        return numbers[0]

    def wake(self) -> None:
        """End the wait, from another thread, as a signal would."""
        self._writable.send(_WOKEN)

    def take_wake(self) -> bool:
        """Reset `wake`, and say whether there was nothing else: a signal is left for `take`."""
        try:
            waiting = self.readable.recv(4096, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        if waiting.strip(_WOKEN):
            return False
        self.readable.recv(len(waiting))
        return True
