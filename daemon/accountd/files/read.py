"""Reads a file that anybody may have put there: never more than it should have, and no waiting for what is none.

Every file is read here, but for those that come with this package. A pipe would be waited for without end, a device
may have no end, and a sparse file fills the memory and no disk.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

MAX_FILE: Final = 1 << 20
"""Bytes of a file of which nothing else is known: a configuration or a credential has some kilobytes."""


class FileTooLarge(OSError):
    """A file has more bytes than any of its kind should have; nothing is known of what is in it."""

    def __init__(self, limit: int) -> None:
        super().__init__(errno.EFBIG, f"larger than {limit} bytes")


def read_file(path: str | os.PathLike[str], limit: int = MAX_FILE) -> bytes:
    """Read a regular file whole. Raises OSError; FileTooLarge for one that has more than `limit` bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        return _read(descriptor, limit)
    finally:
        os.close(descriptor)


def _read(descriptor: int, limit: int) -> bytes:
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file")
    if found.st_size > limit:
        raise FileTooLarge(limit)
    document = bytearray()
    while piece := os.read(descriptor, 1 << 16):  # whatever its size was: those of /proc have none
        document += piece
        if len(document) > limit:
            raise FileTooLarge(limit)
    return bytes(document)
