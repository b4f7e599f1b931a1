"""The locks that every program sharing a CODEX_HOME takes before it changes the credential (protocol note 0.6).

They are `flock` locks: they belong to an open file, end with the process that holds them, however it ends,
and so are never stale.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import StorageError, describe_os_error
from accountd.files.walk import open_ours

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

NAMES: Final = ("auth.json.lock", "auth.lock")

_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.1


@asynccontextmanager
async def hold_credential_locks(home: Path, timeout: float) -> AsyncIterator[None]:
    """Hold both locks for the block. Raises StorageError after `timeout` seconds of waiting for others.

    flock has no deadline of its own, and a thread that waits in it could not be called back; so the locks are
    tried, and between two tries the event loop is free. They are taken both or neither, so that a program
    which takes them in the other order is never waited for in a circle.
    """
    pause = _FIRST_PAUSE
    try:
        with trio.fail_after(timeout):
            while (held := _try_both(home)) is None:
                await trio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
    except trio.TooSlowError:
        raise StorageError(f"another program has held the credential lock for {timeout:.0f} s") from None
    with held:
        yield


def _try_both(home: Path) -> ExitStack | None:
    """Take both locks, to be let go by leaving what is returned; or none, if somebody holds one."""
    with ExitStack() as taking:
        for name in NAMES:
            if not taking.enter_context(_flock(home / name)):
                return None
        return taking.pop_all()


@contextmanager
def _flock(path: Path) -> Iterator[bool]:
    """Try to lock a file, made if it is missing, and say whether that went well."""
    try:
        descriptor = open_ours(path, os.O_RDWR | os.O_CREAT, private=True)
    except OSError as error:
        raise StorageError(describe_os_error(error)) from error
    try:
        yield _lock_now(descriptor)
    finally:
        os.close(descriptor)


def _lock_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StorageError(f"cannot lock the credentials: {describe_os_error(error)}") from error
    return True
