"""Reads a small file that anybody may have put there, and does not wait for what is none."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MAX_DOCUMENT: Final = 16 << 20
"""Bytes that are read of a file; one that has more is cut there, and then is no JSON."""


def read_file(path: Path) -> bytes:
    """Read a regular file. Raises OSError, also for a pipe or a device, which might be waited for without end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        document = bytearray()
        while len(document) < MAX_DOCUMENT and (piece := os.read(descriptor, 1 << 16)):
            document += piece
        return bytes(document)
    finally:
        os.close(descriptor)
