"""Locks on open files, which end with the process that has them; and the file systems that have no such thing.

A share of a network, or of another machine's, may be without (ENOLCK, ENOSYS, EOPNOTSUPP). Nobody can be kept out
there, and nobody is: whoever needs the lock goes on without it, and says so.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from typing import Final

_UNSUPPORTED: Final = frozenset((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP))

_PAUSE: Final = 0.02
"""Seconds between two tries."""


class NoLocks(OSError):
    """The file system has no locks. Its number and text are the system's."""


def try_lock(descriptor: int) -> bool:
    """Lock an open file for oneself alone; False if somebody else has it locked. Raises OSError: NoLocks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED and error.errno is not None:
            raise NoLocks(error.errno, os.strerror(error.errno)) from error
        raise
    return True


def wait_lock(descriptor: int, patience: float) -> bool:
    """Lock an open file, and block for so many seconds while somebody else has it locked; False if they keep it.

    Raises as `try_lock`.
    """
    deadline = time.monotonic() + patience
    while not try_lock(descriptor):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True
