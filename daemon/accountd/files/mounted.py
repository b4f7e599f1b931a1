"""A file that is mounted by itself, as a container may have it: nothing can take its name, or remove it.

It is written in place, then. A crash can cut that short, so who writes it keeps the new content whole beside it for
as long (`replace`). Room is taken before anything is written: a full disk says so while the old content is there.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from accountd.files.read import read_file
from accountd.files.walk import check_regular

if TYPE_CHECKING:
    from accountd.files.walk import Entry

_MOUNT: Final = re.compile(rb"^mnt_id:\s*([0-9]+)$", re.MULTILINE)
_NO_SUCH_THING: Final = frozenset((errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS))

_log = logging.getLogger(__name__)


def is_mounted(entry: Entry) -> bool:
    """Return True if what is at an entry is another mount than its folder, as far as the system tells."""
    path_only = getattr(os, "O_PATH", None)
    if path_only is None:
        return False
    try:
        descriptor = os.open(entry.name, path_only | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=entry.folder)
    except OSError:  # there is nothing
        return False
    try:
        mounts = {_read_mount(descriptor), _read_mount(entry.folder)}
    finally:
        os.close(descriptor)
    return None not in mounts and len(mounts) > 1


def _read_mount(descriptor: int) -> bytes | None:
    try:
        found = _MOUNT.search(read_file(f"/proc/self/fdinfo/{descriptor}"))
    except OSError:
        return None
    return found[1] if found else None


def write_in_place(entry: Entry, document: bytes) -> None:
    """Write new content into a file, and return when that is on the disk. Raises OSError: then it may be torn."""
    descriptor = os.open(entry.name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=entry.folder)
    try:
        check_regular(os.fstat(descriptor))
        _take_room(descriptor, len(document))
        written = 0
        while written < len(document):
            written += os.pwrite(descriptor, document[written:], written)
        os.ftruncate(descriptor, len(document))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _warn(entry.place)


def _take_room(descriptor: int, size: int) -> None:
    if size > os.fstat(descriptor).st_size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NO_SUCH_THING:
                raise


@lru_cache(maxsize=64)  # so that it is said once of each
def _warn(place: str) -> None:
    _log.warning("%s is mounted by itself, and so written in place; mount its folder instead", place)
