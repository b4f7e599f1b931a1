"""A real terminal for a verb to run on, and what is on its screen."""

from __future__ import annotations

import codecs
import os
import pty
import select
import subprocess
import sys
import termios
import time

PATIENCE = 10.0
"""Seconds for anything that is to come; all of it comes in a fraction of one."""


def read_exactly(descriptor: int, size: int) -> bytes:
    """Read so many bytes of a terminal or a pipe, which gives them in as many pieces as it likes."""
    data = b""
    while len(data) < size:
        assert select.select([descriptor], [], [], PATIENCE)[0], data
        piece = os.read(descriptor, size - len(data))
        assert piece, data
        data += piece
    return data


class Terminal:
    """A verb on a terminal of its own, which is its controlling one: what is typed there are its signals.

    `screen` is what was written to it. It has no colours, unless `environ` says NO_COLOR="".
    """

    def __init__(self, *arguments: str, columns: int = 80, **environ: str) -> None:
        self.screen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a character may come in two pieces
        self._master, slave = pty.openpty()
        self.resize(columns)
        self.process = subprocess.Popen(
            # setsid alone gives no controlling terminal; opening one without O_NOCTTY does.
            [
                sys.executable,
                "-c",
                "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); "
                "os.execv(sys.executable, [sys.executable, '-m', 'accountd', *sys.argv[1:]])",
                *arguments,
            ],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1", **environ},
            start_new_session=True,
        )
        os.close(slave)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int) -> None:
        """Make the window so wide."""
        termios.tcsetwinsize(self._master, (24, columns))

    def echoes(self) -> bool:
        """Say whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def wait_for(self, text: str) -> None:
        """Read until this text is on the screen; fail after ten seconds."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert self._read(deadline), f"no {text!r} on the screen: {self.screen!r}"

    def wait(self) -> int:
        """Read to the end, and give the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Leave nothing running or open."""
        self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self._master)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            return False
        self.screen += self._decoder.decode(data)
        return bool(data)
