"""A server under load: started in a folder of its own, and looked at from outside, as Linux tells it."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.wire import Kind


class Server:
    """A running server."""

    def __init__(self, pid: int, socket: str, kind: Kind) -> None:
        self.socket = socket
        self.kind = kind
        self._proc = Path(f"/proc/{pid}")

    def connect(self) -> Wire:
        """Give a connection that is initialized."""
        return Wire(self.socket, self.kind)

    def memory(self) -> int:
        """Give the bytes of memory that are the server's alone, when it has come to rest."""
        time.sleep(1)
        fields = (line.split() for line in (self._proc / "smaps_rollup").read_text().splitlines()[1:])
        return sum(int(field[1]) for field in fields if field[0].startswith(("Private_", "Swap:"))) * 1024

    def descriptors(self) -> int:
        """Count the open files."""
        return len(list((self._proc / "fd").iterdir()))

    def threads(self) -> int:
        """Count the threads."""
        return len(list((self._proc / "task").iterdir()))


@contextmanager
def running(command: str, kind: Kind) -> Iterator[Server]:
    """Run a server for the block; `{socket}` in its command is the path to listen on."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder, "home")
        home.mkdir(mode=0o700)
        path = str(Path(folder, "s"))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        with subprocess.Popen(
            shlex.split(command.replace("{socket}", path)),
            env=environ | {"CODEX_HOME": str(home)},
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                deadline = time.monotonic() + 20
                while not Path(path).exists():
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise SystemExit(f"it does not start: {command}")
                    time.sleep(0.05)
                time.sleep(0.2)
                yield Server(process.pid, path, kind)
            finally:
                process.kill()
