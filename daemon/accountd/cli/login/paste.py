"""Lines that a person types or pastes while the command waits for something else.

Only on a terminal whose foreground this command has: a line is taken by a thread, since the main one waits for
the daemon. The terminal edits the line and shows it, as the person must see what was pasted; the code in
it is good once, and only together with a PKCE verifier that stays in the daemon. The terminal also limits it: to
4095 bytes on Linux and 1024 on macOS, of which an address needs a few hundred.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
from typing import TYPE_CHECKING

from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_PAUSE = 1.0
"""Seconds until a command that was put into the background looks again whether what is typed is for it."""


def can_paste() -> bool:
    """Return True if somebody can be asked: someone who sees the question, and whose answer comes here."""
    both = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    return both and _in_foreground(sys.stdin.fileno())


class PasteReader:
    """While it is entered, `ask` begins to wait for a line, and `wake` is called, by a thread, when there is one.

    What is typed but not ended when this is left is thrown away: it was not meant for the shell that comes next.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._terminal = sys.stdin.fileno()
        self._line = Secret("")
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._stop, self._stopper = os.pipe()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopper)
        if self._thread is not None:
            self._thread.join()
        os.close(self._stop)
        if _in_foreground(self._terminal):
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcflush(self._terminal, termios.TCIFLUSH)

    def ask(self) -> None:
        """Begin to wait for the next line. Only when the last one, if any was asked for, has been taken."""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def take(self) -> Secret:
        """Return the line that `wake` was called for, without the blanks around it."""
        return self._line

    def _read(self) -> None:
        """Read one line; none if this is left first, or the person has nothing to paste (Ctrl-D)."""
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._terminal, self._stop], [], [])
            if self._stop in ready:
                return
            if not _in_foreground(self._terminal):  # the line is another's, and to take it would stop this command
                if select.select([self._stop], [], [], _PAUSE)[0]:
                    return
                continue
            try:
                data = os.read(self._terminal, 4096)
            except OSError:  # the terminal is gone
                return
            if not data:
                return
            line += data
        self._line = Secret(line.decode(errors="replace").strip())
        self._wake()


def _in_foreground(terminal: int) -> bool:
    """Return True if what is typed comes here: to read, and to flush, stops a command that is in the background."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # no terminal that has jobs
        return True
