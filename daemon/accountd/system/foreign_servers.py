"""Codex processes of this person that hold a login of one CODEX_HOME in their memory, besides the daemon's.

They are found by what the system tells of processes: /proc on Linux, ps elsewhere. What cannot be looked at,
another user's or one that has just ended, is passed over. Nothing is done to any.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from accountd import paths
from accountd.codex.command_line import OWN_SERVER, Role, find_role
from accountd.files.read import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_HOLDS_THREAD: Final = ("sessions", "thread-writer-locks")
"""Folders of CODEX_HOME in which whoever runs a thread has a file open."""

_PATIENCE: Final = 5.0
"""Seconds for ps, and for whoever listens at Codex's control socket."""

_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*=")

_NAMES: Final[dict[Role, str]] = {
    "daemon": "Codex's own daemon",
    "app-server": "an app-server",
    "exec": "codex exec",
    "terminal": "codex in a terminal",
}


class Process(NamedTuple):
    """A process: its number, its words, its environment, and files that it has open, as far as is told."""

    pid: int
    words: list[str]
    environ: Mapping[str, str]
    files: Iterable[str] = ()


class ForeignServer(NamedTuple):
    """A process that has a login of its own."""

    pid: int
    role: Role

    @property
    def name(self) -> str:
        """What a person knows it as."""
        return _NAMES[self.role]

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def find_foreign_servers(home: str) -> list[ForeignServer]:
    """Find those that have read the login of a CODEX_HOME. Blocks, for a moment."""
    processes = _read_proc() if sys.platform == "linux" else _ask_ps()
    return choose_foreign(processes, home, is_shared=_is_listened_at(paths.control_socket({"CODEX_HOME": home})))


def choose_foreign(processes: Iterable[Process], home: str, *, is_shared: bool) -> list[ForeignServer]:
    """Choose them of all processes. `is_shared`: a server that terminals use listens for this CODEX_HOME."""
    found = []
    for process in processes:
        role = find_role(process.words)
        if role is None or not _has_home(process.environ, home):
            continue
        if role == "terminal" and is_shared and OWN_SERVER not in process.words:
            threads = tuple(f"{os.path.realpath(home)}/{name}/" for name in _HOLDS_THREAD)
            if not any(file.startswith(threads) for file in process.files):
                continue
        found.append(ForeignServer(process.pid, role))
    return found


def describe_foreign(servers: Iterable[ForeignServer]) -> tuple[str, str]:
    """Describe which they are, and what to do about them."""
    servers = list(servers)
    is_daemon = [server.role == "daemon" for server in servers]
    stop = "`codex app-server daemon stop` ends Codex's own daemon" if any(is_daemon) else ""
    restart = "restart the client that has started it, or end it there" if not all(is_daemon) else ""
    return ", ".join(map(str, servers)), "; ".join(filter(None, (stop, restart)))


def _has_home(environ: Mapping[str, str], home: str) -> bool:
    theirs = environ.get("CODEX_HOME", "").strip() or f"{environ.get('HOME', '')}/.codex"
    return theirs.startswith("/") and paths.leads_to(paths.tell(theirs), home)


def _read_proc() -> Iterator[Process]:
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = _read_list(place / "cmdline")
            if place.stat().st_uid == os.getuid() and find_role(words) is not None:
                environ = {name: value for name, _, value in map(_split, _read_list(place / "environ"))}
                yield Process(int(place.name), words, environ, tuple(_open_files(place)))


def _read_list(path: Path) -> list[str]:
    return os.fsdecode(read_file(path)).removesuffix("\0").split("\0")


def _split(variable: str) -> tuple[str, str, str]:
    return variable.partition("=")


def _open_files(place: Path) -> Iterator[str]:
    for file in (place / "fd").iterdir():
        with suppress(OSError):
            yield str(file.readlink())


def _ask_ps() -> Iterator[Process]:
    command = ("ps", "-x", "-E", "-ww", "-o", "pid=,command=")
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603  # fixed words
        yield from parse_ps(os.fsdecode(done.stdout))


def parse_ps(text: str) -> Iterator[Process]:
    """Read lines of a number, then a command's words, then its variables, all with blanks between them.

    A word that has a blank in it is read as two, which is no matter: none that is looked for has.
    """
    for line in text.splitlines():
        pid, *rest = line.split()
        first = next((index for index, word in enumerate(rest) if _VARIABLE.match(word)), len(rest))
        yield Process(int(pid), rest[:first], {name: value for name, _, value in map(_split, rest[first:])})


def _is_listened_at(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
