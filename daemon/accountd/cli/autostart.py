"""Start the daemon when nothing listens, as gpg does with its agent; it outlives the verb that started it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from typing import TYPE_CHECKING, BinaryIO

from accountd import paths
from accountd.cli.exits import NO_DAEMON, Failure
from accountd.client.blocking import Client
from accountd.client.errors import NothingListens

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PATIENCE = 10.0
"""Seconds that a daemon may take from its start until it listens."""
_PAUSE = 0.02
"""Seconds between two looks at a socket that is about to be there; there is nothing to wait on."""
_LOSERS_PATIENCE = 0.25
"""Seconds that a daemon which lost a race is given for the winner to listen."""
_PATHS = ("CODEX_HOME", "CODEX_CA_CERTIFICATE", "SSL_CERT_FILE")
"""Variables that may hold a path relative to this folder, which is not the daemon's."""


def connect(path: Path, environ: Mapping[str, str], *, start: bool) -> Client:
    """Connect to the daemon at `path`; if nothing listens and `start` says so, start one and wait for it.

    Raises Failure if there is none to be had, and what Client raises.
    """
    try:
        return Client(path)
    except NothingListens as error:
        if not start:
            advice = "start a daemon with `accountd serve`, or leave --no-start out"
            raise Failure(f"{error}; {advice}", NO_DAEMON) from error
    log_path = paths.log_file(environ)
    with _open_log(log_path) as log, _only_starter(log):
        with contextlib.suppress(NothingListens):
            return Client(path)  # another verb started one while this one waited for its turn
        begin = os.fstat(log.fileno()).st_size
        child = _start(path, environ, log_path)
        client = _wait_until_it_listens(path, child)
        if client is not None:
            return client
        log.seek(begin)
        raise Failure(f"the daemon did not start: {_last_words(log.read())}; see {log_path}", NO_DAEMON)


def daemon_command(path: Path) -> list[str]:
    """Give the command line of a daemon for this socket, run by the Python that runs this verb."""
    return [sys.executable, "-m", "accountd", "serve", "--listen", f"unix://{path}"]


def _start(path: Path, environ: Mapping[str, str], log_path: Path) -> subprocess.Popen[bytes]:
    """Start a daemon that has nothing of ours: no terminal, no open files, no working folder to keep busy."""
    import subprocess  # takes as long to import as the rest of a verb takes to run

    named = {name: environ[name].strip() for name in _PATHS if environ.get(name, "").strip()}
    absolute = {name: str(paths.expand(value, where=name)) for name, value in named.items()}
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


def _wait_until_it_listens(path: Path, child: subprocess.Popen[bytes]) -> Client | None:
    """Wait for the daemon just started, or the one that was faster; None if it ended, or was ended, without."""
    deadline = time.monotonic() + _PATIENCE
    exited = False
    while time.monotonic() < deadline:
        if not exited and child.poll() is not None:
            exited = True
            deadline = min(deadline, time.monotonic() + _LOSERS_PATIENCE)
        with contextlib.suppress(NothingListens):
            client = Client(path)
            child.returncode = child.returncode or 0  # it is left running on purpose; Popen would warn of it
            return client
        time.sleep(_PAUSE)
    if not exited:
        child.kill()
        child.wait()
        raise Failure(f"the daemon did not listen on {path} within {_PATIENCE:g} seconds", NO_DAEMON)
    return None


def _last_words(written: bytes) -> str:
    """Find what a daemon that gave up says about it: its last line, without its name."""
    lines = written.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return last.removeprefix("accountd: ").rstrip(".")


def _open_log(path: Path) -> BinaryIO:
    """Open the log to append to it; the file and the folders that are made for it are this person's alone."""
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, mode=0o600), "a+b")
    except OSError as error:
        text = f"cannot start a daemon: its log {path} cannot be opened: {error.strerror}"
        raise Failure(text, NO_DAEMON) from error


@contextlib.contextmanager
def _only_starter(log: BinaryIO) -> Iterator[None]:
    """Let the verbs of one CODEX_HOME start daemons one after the other, so that the second finds the first's.

    The lock is on an open file of our own: the daemon's, which it inherits, has none.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Failure("another command has been starting a daemon for too long", NO_DAEMON) from None
            time.sleep(_PAUSE)
    yield  # the lock ends with the file
