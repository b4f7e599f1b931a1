"""Files that only grow, line by line, and make room when they are full: the log that we keep, and the audit log.

Several processes of one person append to the same file, and may find it full at the same time.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from accountd.files.flock import NoLocks, try_lock

if TYPE_CHECKING:
    from pathlib import Path

MAX_SIZE: Final = 1024 * 1024
"""Bytes of a file: some five thousand lines."""

KEPT: Final = 3
"""Older files beside it, `.1` the youngest."""


def rotate_if_full(path: Path, descriptor: int, coming: int) -> bool:
    """Move a file aside if so many bytes more would be too much; return True if they would. Raises OSError.

    `descriptor` is of the file. Who gets True opens the path anew, and may have the same file again: it stays while
    another process has a lock on it, to rotate it or to start a daemon that writes to it.
    """
    size = os.fstat(descriptor).st_size
    if size + coming <= MAX_SIZE or size == 0:
        return False
    with suppress(NoLocks):  # then a file may be moved twice, and an older one be lost
        if not try_lock(descriptor):
            return True
    try:
        with suppress(FileNotFoundError):  # another has moved it just now, and made no new one yet
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                _move(path)
    finally:
        with suppress(OSError):  # there was none
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def _move(path: Path) -> None:
    older = [path.with_name(f"{path.name}.{n + 1}") for n in range(KEPT)]
    for source, target in reversed([*pairwise([path, *older])]):
        with suppress(FileNotFoundError):
            source.replace(target)
