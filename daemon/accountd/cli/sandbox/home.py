"""The CODEX_HOME of a sandbox: a folder that is made for it and deleted, or one that a person keeps.

Nobody deletes the folder of a sandbox that was killed. So each locks a file in the one that it has made, and the
next to start removes those whose lock nobody holds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.exits import USAGE, Failure
from accountd.errors import describe_os_error
from accountd.files.flock import NoLocks, try_lock
from accountd.files.read import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "# Written by `accountd sandbox`, which writes it anew at each start.\n"

_LONGEST_SOCKET_PATH = 103
"""Bytes that fit into sun_path on macOS, whose limit is the smallest."""

_OLD = 60.0
"""Seconds from which a folder without a sandbox is none that is just being made."""


@contextlib.contextmanager
def open_home(folder: str | None) -> Iterator[Path]:
    """Yield the folder that is to be CODEX_HOME. Raises Failure for one that is somebody's real one."""
    if folder is None:
        with _make_home() as made:
            yield made
        return
    home = Path(paths.expand(folder, where="--home"))
    _require_room(home, "choose a shorter --home")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_real_home(home)
    except OSError as error:
        raise Failure(f"{home}: cannot be used: {describe_os_error(error)}") from error
    yield home


def _require_room(home: Path, remedy: str) -> None:
    """Raise Failure for a folder whose name leaves no room for a socket in it."""
    if len(os.fsencode(socket_of(home))) > _LONGEST_SOCKET_PATH:
        raise Failure(f"{home}: too long for a socket in it; {remedy}", USAGE)


def socket_of(home: Path) -> Path:
    """Return where the daemon of a sandbox's home listens."""
    return home / paths.SOCKET


@contextlib.contextmanager
def _make_home() -> Iterator[Path]:
    try:
        made = Path(tempfile.mkdtemp(prefix=paths.SANDBOX_HOME))
    except OSError as error:
        raise Failure(f"no folder can be made for it: {describe_os_error(error)}; name one with --home") from error
    try:
        _require_room(made, "set TMPDIR to a shorter one, or choose a --home")
        lock = os.open(made / paths.SANDBOX_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(NoLocks):
            try_lock(lock)
        yield made
    finally:  # the lock goes with this process
        # A program that still runs there may write while it is deleted; what is left then is no error.
        shutil.rmtree(made, ignore_errors=True)


def find_leftovers() -> list[Path]:
    """List the folders of this person's sandboxes that were killed. None of them is another's, or has a sandbox."""
    return [path for path in Path(tempfile.gettempdir()).glob(f"{paths.SANDBOX_HOME}*") if _is_left(path)]


def remove_leftover(home: Path) -> None:
    """Delete the folder of a sandbox that was killed."""
    shutil.rmtree(home, ignore_errors=True)


def _is_left(path: Path) -> bool:
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False
        if time.time() - found.st_mtime < _OLD:
            return False
        lock = os.open(path / paths.SANDBOX_LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:  # of another make; or made anew by the last words of a daemon that was just ending
        return not (path / paths.CONFIG).exists()
    except OSError:
        return False
    try:
        return try_lock(lock)
    except OSError:
        return False
    finally:
        os.close(lock)


def _refuse_real_home(home: Path) -> None:
    """Raise Failure unless a folder is empty, or the sandbox's own from before and without anybody else's login."""
    from accountd.sandbox.jwt import is_of_sandbox

    person = paths.user_home()
    if person is not None and paths.leads_to(f"{person}/.codex", str(home)):
        raise Failure(f"{home}: is the CODEX_HOME of your own login; choose another --home", USAGE)
    config, auth = home / paths.CONFIG, home / paths.CREDENTIAL
    if auth.exists():
        document = read_file(auth)
        if not config.exists() or (b"refresh_token" in document and not is_of_sandbox(document)):
            raise Failure(f"{home}: holds a login that is not the sandbox's; choose another --home", USAGE)
    if config.exists():
        if not read_file(config).startswith(MARK.encode()):
            raise Failure(
                f"{config}: was not written by the sandbox, and is left alone; choose another --home", USAGE
            )
    elif any(home.iterdir()):
        raise Failure(f"{home}: has files that are not the sandbox's; choose another --home", USAGE)
