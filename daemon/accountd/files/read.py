"""Reads a file that anybody may have put there: never more than it should have, and no waiting for what is none.

Every file is read here, but for those that come with this package. A pipe would be waited for without end, a device
may have no end, and a sparse file fills the memory and no disk.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from accountd.files.walk import open_ours, require_regular

MAX_FILE: Final = 1 << 20
"""Bytes of a file of which nothing else is known: a configuration or a credential has some kilobytes."""


class FileTooLarge(OSError):
    """A file has more bytes than any of its kind should have; nothing is known of what is in it."""

    def __init__(self, limit: int) -> None:
        super().__init__(errno.EFBIG, f"larger than {limit} bytes")


def read_file(path: str | os.PathLike[str], limit: int = MAX_FILE) -> bytes:
    """Read a regular file whole, whoever wrote it. Raises OSError; FileTooLarge for more than `limit` bytes."""
    return _read(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), limit)


def read_own_file(path: str | os.PathLike[str], limit: int = MAX_FILE) -> bytes:
    """Read a file that says what is to be done, or is secret. As `read_file`; UnsafePath for one of others."""
    return _read(open_ours(path, os.O_RDONLY), limit)


def read_unlinked_file(path: str | os.PathLike[str], limit: int = MAX_FILE) -> bytes:
    """Read a file of this user's that is no link. As `read_file`; PermissionError for one of another user's."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    if os.fstat(descriptor).st_uid != os.geteuid():
        os.close(descriptor)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return _read(descriptor, limit)


def _read(descriptor: int, limit: int) -> bytes:
    """Read an open file, and close it."""
    try:
        if require_regular(descriptor).st_size > limit:
            raise FileTooLarge(limit)
        document = bytearray()
        while piece := os.read(descriptor, 1 << 16):  # whatever its size was: those of /proc have none
            document += piece
            if len(document) > limit:
                raise FileTooLarge(limit)
        return bytes(document)
    finally:
        os.close(descriptor)
