"""A person at a terminal, which tmux has: what is on the screen, and what is typed."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PATIENCE: Final = 20.0
"""Seconds for something to come up; a terminal interface takes a few to start."""

_GLANCE: Final = 0.05


class Terminal:
    """One terminal, with one program in it."""

    def __init__(self, server: Path) -> None:
        self._server = server

    def tmux(self, *words: str) -> str:
        """Have tmux do something, and give what it says."""
        done = subprocess.run(
            ["tmux", "-f", "/dev/null", "-S", str(self._server), *words],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def read(self) -> str:
        """Give what is on the screen, without the empty lines."""
        lines = (line.rstrip() for line in self.tmux("capture-pane", "-p").splitlines())
        return "\n".join(filter(None, lines))

    def wait(self, *texts: str) -> str:
        """Wait until one of the texts is on the screen, and give which."""
        deadline = time.monotonic() + PATIENCE
        while True:
            screen = self.read()
            for text in texts:
                if text in screen:
                    return text
            assert time.monotonic() < deadline, screen
            time.sleep(_GLANCE)

    def wait_end(self) -> None:
        """Wait until the program has ended, and the terminal with it."""
        deadline = time.monotonic() + PATIENCE
        while self.tmux("list-panes"):
            assert time.monotonic() < deadline, self.read()
            time.sleep(_GLANCE)

    def press(self, *keys: str) -> None:
        """Press keys, by their names."""
        self.tmux("send-keys", *keys)

    def press_until(self, key: str, text: str) -> None:
        """Press a key until a text is on the screen: a program that starts may lose what is typed."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.read():
            assert time.monotonic() < deadline, self.read()
            self.press(key)
            time.sleep(0.5)

    def say(self, text: str) -> None:
        """Type a line; what is typed as fast as this is taken for pasted, with the key behind it."""
        self.tmux("send-keys", "-l", text)
        time.sleep(0.5)
        self.press("Enter")


@contextmanager
def open_terminal(server: Path, environ: Mapping[str, str], folder: Path, *command: str) -> Iterator[Terminal]:
    """Run a program in a terminal for the block."""
    terminal = Terminal(server)
    size = ("-x", "120", "-y", "50")
    subprocess.run(
        ["tmux", "-f", "/dev/null", "-S", str(server), "new-session", "-d", *size, "-c", str(folder), *command],
        env={**environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
        check=True,
    )
    try:
        yield terminal
    finally:
        terminal.tmux("kill-server")
