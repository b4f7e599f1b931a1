"""Start the daemon when nothing listens, as gpg does with its agent; it outlives the client that started it."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from accountd import paths
from accountd.client.errors import DaemonNotStarted, NothingListens
from accountd.client.unix_socket import find_listener, open_socket
from accountd.errors import describe_os_error
from accountd.files.daemon_note import read_noted
from accountd.files.flock import NoLocks, wait_lock
from accountd.files.own_folder import find_own_folder
from accountd.files.rotation import rotate_if_full
from accountd.files.walk import open_ours

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Iterator, Mapping

_PATIENCE = 10.0
"""Seconds that a daemon may take from its start until it listens."""
_PAUSE = 0.02
"""Seconds between two looks at a socket that is about to be there; there is nothing to wait on."""
_LOSERS_PATIENCE = 0.25
"""Seconds that a daemon which lost a race is given for the winner to listen."""
_LAST_WORDS = 1 << 16
"""Bytes at the end of a log in which the last line of a daemon that gave up is looked for."""
_LOG_REMEDY = "set XDG_STATE_HOME or XDG_RUNTIME_DIR to a folder of yours that can be written"
_PATHS = ("CODEX_HOME", "CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that may hold a path relative to this folder, which is not the daemon's; the last one, several."""


def open_or_start(path: str | Path, environ: Mapping[str, str], timeout: float) -> socket.socket:
    """Connect to the daemon at `path`; if nothing listens, start one of this environment and wait for it.

    Raises DaemonNotStarted if there is none to be had, and what `open_socket` raises. Blocks for some ten seconds
    at most, in which only a signal's exception can end it.
    """
    with contextlib.suppress(NothingListens):
        return open_socket(path, timeout)
    if os.path.lexists(paths.token_mark(path)):
        raise DaemonNotStarted(
            f"nothing listens on {path}, where a daemon hands out tokens to containers: no other one is started "
            "there; `accountd token-socket open`, outside of the container, opens it again"
        )
    folder = find_own_folder(environ)
    log_path = Path(folder.log)
    _make_room(log_path)
    with _open_log(log_path) as log, _only_starter(log):
        with contextlib.suppress(NothingListens):
            return open_socket(path, timeout)  # another client started one while this one waited for its turn
        _refuse_another(path, folder.path, environ)
        begin = os.fstat(log.fileno()).st_size
        child = _start(path, environ, log_path)
        connection = _wait_until_it_listens(path, child, timeout)
        if connection is not None:
            return connection
        log.seek(max(begin, os.fstat(log.fileno()).st_size - _LAST_WORDS))
        raise DaemonNotStarted(f"the daemon did not start: {_last_words(log.read())}; see {log_path}")


def _refuse_another(path: str | Path, folder: str, environ: Mapping[str, str]) -> None:
    """Raise DaemonNotStarted if a daemon of this CODEX_HOME listens elsewhere: there is to be one."""
    home = paths.codex_home(environ)
    for noted in read_noted(folder, home):
        if os.path.realpath(noted) != os.path.realpath(path) and (pid := find_listener(noted)) is not None:
            raise DaemonNotStarted(
                f"the daemon of {home}, pid {pid}, listens on {noted}, so no other one is started at {path}; "
                f"use --socket {shlex.quote(noted)}"
            )


def daemon_command(path: str | Path) -> list[str]:
    """Return the command line of a daemon for this socket, run by this very Python, from nobody's folder."""
    return [sys.executable, "-P", "-m", "accountd", "serve", "--on-demand", "--listen", f"unix://{path}"]


def _start(path: str | Path, environ: Mapping[str, str], log_path: Path) -> subprocess.Popen[bytes]:
    """Start a daemon that has nothing of ours: no terminal, no open files, no working folder to keep busy."""
    import subprocess  # takes as long to import as a verb takes to run

    named = {name: environ[name].strip() for name in _PATHS if environ.get(name, "").strip()}
    absolute = {name: _expand(value, where=name) for name, value in named.items()}
    with _open_log(log_path) as log:
        return subprocess.Popen(  # noqa: S603  # this very Python, and a path that is no option
            daemon_command(path),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**environ, **absolute},
            start_new_session=True,
        )


def _expand(value: str, where: str) -> str:
    several = value.split(os.pathsep) if where == _PATHS[-1] else [value]
    return os.pathsep.join(paths.expand(path, where=where) for path in several if path)


def _wait_until_it_listens(
    path: str | Path, child: subprocess.Popen[bytes], timeout: float
) -> socket.socket | None:
    """Wait for the daemon just started, or the one that was faster; None if it ended, or was ended, without."""
    deadline = time.monotonic() + _PATIENCE
    exited = False
    while time.monotonic() < deadline:
        if not exited and child.poll() is not None:
            exited = True
            deadline = min(deadline, time.monotonic() + _LOSERS_PATIENCE)
        with contextlib.suppress(NothingListens):
            connection = open_socket(path, timeout)
            child.returncode = child.returncode or 0  # it is left running on purpose; Popen would warn of it
            return connection
        time.sleep(_PAUSE)
    if not exited:
        child.kill()
        child.wait()
        raise DaemonNotStarted(f"the daemon did not listen on {path} within {_PATIENCE:g} seconds")
    return None


def _last_words(written: bytes) -> str:
    """Find what a daemon that gave up says about it: its last line, without its name."""
    lines = written.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return last.removeprefix("accountd: ").rstrip(".")


def _open_log(path: Path) -> BinaryIO:
    """Open the log to append to it; the file and the folders that are made for it are this person's alone."""
    try:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        return os.fdopen(open_ours(path, flags, make_folders=True, private=True), "a+b")
    except OSError as error:
        text = f"cannot start a daemon: its log {path} cannot be opened: {describe_os_error(error)}; {_LOG_REMEDY}"
        raise DaemonNotStarted(text) from error


def _make_room(path: Path) -> None:
    """Move a log aside that is full: a daemon that ends as it starts has no time to do so."""
    with contextlib.suppress(OSError), _open_log(path) as log:  # a log that is too large keeps nobody from starting
        rotate_if_full(path, log.fileno(), 0)


@contextlib.contextmanager
def _only_starter(log: BinaryIO) -> Iterator[None]:
    """Let the clients of one CODEX_HOME start daemons one after the other, so that the second finds the first's.

    The lock is on an open file of our own: the daemon's, which it inherits, has none.
    """
    with contextlib.suppress(NoLocks):  # then one that is started in vain says that the other has the socket
        if not wait_lock(log.fileno(), _PATIENCE):
            raise DaemonNotStarted("another program has been starting a daemon for too long")
    yield  # the lock ends with the file
