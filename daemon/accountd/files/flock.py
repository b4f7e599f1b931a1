"""Locks on open files, which end with the process that has them; and the file systems that have no such thing.

A share of a network, or of another machine's, may be without (ENOLCK, ENOSYS, EOPNOTSUPP). Nobody can be kept out
there, and nobody is: whoever needs the lock goes on without it, and says so.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Final

_UNSUPPORTED: Final = frozenset((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP))


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
