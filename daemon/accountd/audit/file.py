"""A file that only grows, line by line, and makes room when it is full: where the audit log is kept.

It is opened for each line: who looks after logs may move it or remove it at any time, and two daemons of one
CODEX_HOME write to the same.
"""

from __future__ import annotations

import errno
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from accountd.errors import describe_os_error
from accountd.files.rotation import rotate_if_full
from accountd.files.walk import open_ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)


class AuditFile:
    """The file at a path, made when the first line comes; the folder as well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fails = False

    def append(self, line: bytes) -> None:
        """Write one line, or none of it. Never raises: what cannot be written is warned of, once in a row."""
        try:
            self._append(line)
        except OSError as error:
            if not self._fails:
                _log.warning("the audit log %s cannot be written: %s", self._path, describe_os_error(error))
            self._fails = True
        else:
            self._fails = False

    def _append(self, line: bytes) -> None:
        with self._open() as descriptor:
            if not rotate_if_full(self._path, descriptor, len(line)):
                _write(descriptor, line)
                return
        with self._open() as descriptor:
            _write(descriptor, line)

    @contextmanager
    def _open(self) -> Iterator[int]:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = open_ours(self._path, flags, make_folders=True, private=True)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _write(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    if os.write(descriptor, line) < len(line):  # the disk is full, or there is a quota
        os.ftruncate(descriptor, size)  # half a line would spoil the next one as well
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
