"""A server under load: started in a folder of its own, and looked at from outside, as Linux tells it."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bench.wire import READ, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.figures import Kind

_PATIENCE: Final = 20.0  # seconds in which any server has started
_GLANCE: Final = 0.001  # seconds between two looks whether it has


class Activity(msgspec.Struct, frozen=True):
    """What a server has done so far: seconds of processor time, and how often it has gone to sleep."""

    processor: float
    sleeps: int


class Server:
    """A running server. `ready` is the seconds from the start of its process to the first answered request."""

    def __init__(self, pid: int, socket: str, kind: Kind, home: Path, ready: float = 0.0) -> None:
        self.socket = socket
        self.kind = kind
        self.home = home
        self.ready = ready
        self.pid = pid
        self._proc = Path(f"/proc/{pid}")

    def connect(self) -> Wire:
        """Give a connection that is initialized."""
        return Wire(self.socket, self.kind)

    def resident(self) -> int:
        """Give the bytes of memory that are in use, those that it shares with others included."""
        return self._rollup("Rss:")

    def private(self) -> int:
        """Give the bytes of memory that are the server's alone."""
        return self._rollup("Private_", "Swap:")

    def memory(self) -> int:
        """Give the same, when it has come to rest."""
        time.sleep(1)
        return self.private()

    def _rollup(self, *names: str) -> int:
        fields = (line.split() for line in (self._proc / "smaps_rollup").read_text().splitlines()[1:])
        return sum(int(field[1]) for field in fields if field[0].startswith(names)) * 1024

    def descriptors(self) -> int:
        """Count the open files."""
        return len(list((self._proc / "fd").iterdir()))

    def threads(self) -> int:
        """Count the threads."""
        return len(list((self._proc / "task").iterdir()))

    def activity(self) -> Activity:
        """Count what all of its threads have done. Sleeps are voluntary switches: each ends by a wake-up."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        statuses = [(task / "status").read_text() for task in (self._proc / "task").iterdir()]
        lines = [line.split() for status in statuses for line in status.splitlines()]
        sleeps = sum(int(line[1]) for line in lines if line[0] == "voluntary_ctxt_switches:")
        return Activity(ticks / os.sysconf("SC_CLK_TCK"), sleeps)


@contextmanager
def running(command: str, kind: Kind, environ: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server for the block, from when it answers; `{socket}` in its command is the path to listen on.

    It has a home of its own, nothing of Python's environment, and besides what `environ` says.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder, "home")
        home.mkdir(mode=0o700)
        path = str(Path(folder, "s"))
        start = time.perf_counter()
        with subprocess.Popen(
            shlex.split(command.replace("{socket}", path)),
            env=environment(home) | dict(environ or {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                _wait_for_answer(process, path, kind, command)
                yield Server(process.pid, path, kind, home, time.perf_counter() - start)
            finally:
                process.kill()


def environment(home: Path) -> dict[str, str]:
    """Give the environment of a process with this home, without what would change how Python or a login goes."""
    foreign = ("PYTHON", "CODEX_", "ACCOUNTD_", "OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"CODEX_HOME": str(home)}


def _wait_for_answer(process: subprocess.Popen[bytes], path: str, kind: Kind, command: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            client = Wire(path, kind)
        except (FileNotFoundError, ConnectionRefusedError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"it does not start: {command}") from None
            time.sleep(_GLANCE)
        else:
            client.call(READ)
            client.close()
            return
