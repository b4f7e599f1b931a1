"""One server a socket: a lock file, beside it unless others may write there, held as long as the server has it.

The socket alone cannot tell: between finding a stale one and replacing it, and between closing one's own and
removing it, another server may come and lose its own. A `flock` ends with the process that holds it, however it
ends, so what a killed one leaves behind stops nobody.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from accountd import paths
from accountd.errors import SocketError, describe_os_error
from accountd.files.flock import NoLocks, try_lock
from accountd.files.read import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE: Final = 2.0
"""Seconds for another server to come or to go, when it holds the lock and does not listen."""

_PAUSE: Final = 0.02

_log = logging.getLogger(__name__)


@contextmanager
def hold_instance_lock(
    path: Path, listens: Callable[[], bool], lock: Path | None = None, *, patience: float | None = None
) -> Iterator[None]:
    """Hold the lock of the socket at `path` for the block, and remove its file, `lock`, afterwards.

    Raises SocketError, naming who holds it: at once if that one `listens`, else after it had `patience`, in
    seconds, to come or to go. Raises OSError for a folder that has no room for the file.
    """
    lock = lock if lock is not None else Path(paths.instance_lock(path))
    deadline = time.monotonic() + (PATIENCE if patience is None else patience)
    while (held := _try(lock, listens)) is None:
        if listens():
            raise SocketError(f"the socket is already in use by a running server{_name_holder(lock)}: {path}")
        if time.monotonic() > deadline:
            raise SocketError(f"a server{_name_holder(lock)} is starting or stopping on the socket: {path}")
        time.sleep(_PAUSE)
    try:
        os.ftruncate(held, 0)
        os.write(held, b"%d\n" % os.getpid())
        yield
    finally:
        with suppress(OSError):
            if _is_at(held, lock):
                lock.unlink()  # while it is held: whoever waits for it sees that it is not at its path any more
        os.close(held)


def _try(lock: Path, listens: Callable[[], bool]) -> int | None:
    """Return the descriptor of the file, locked; None if somebody else has it locked.

    Where there are no locks, whoever listens has it.
    """
    held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with ExitStack() as closing:
        closing.callback(os.close, held)
        try:
            is_ours = _lock_now(held, lock)
        except NoLocks as error:
            is_ours = not listens()
            _log.warning("%s cannot be locked (%s): start one daemon at a time", lock, describe_os_error(error))
        if not is_ours:
            return None
        closing.pop_all()
        return held


def _lock_now(held: int, lock: Path) -> bool:
    found = os.fstat(held)
    if found.st_uid != os.getuid() or not stat.S_ISREG(found.st_mode):
        raise SocketError(f"the lock of the socket is not a file of ours: {lock}")
    return try_lock(held) and _is_at(held, lock)


def _is_at(descriptor: int, path: Path) -> bool:
    """Return True if an open file is still the one at a path: who held it before may have removed it since."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _name_holder(lock: Path) -> str:
    """Read who holds the lock, as it has noted itself: ` (pid 4711)`, or nothing."""
    try:
        noted = re.match(rb"[0-9]{1,10}", read_file(lock))
    except OSError:
        return ""
    return f" (pid {int(noted[0])})" if noted else ""
