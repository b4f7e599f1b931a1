"""A file that only grows, line by line, and makes room when it is full: where the audit log is kept.

It is opened for each line: who looks after logs may move it or remove it at any time, and two daemons of one
CODEX_HOME write to the same.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from accountd.errors import describe_os_error
from accountd.files.walk import open_ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_SIZE: Final = 1024 * 1024
"""Bytes of a file: some five thousand events."""

KEPT: Final = 3
"""Older files beside it, `.1` the youngest."""

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
            size = os.fstat(descriptor).st_size
            if size + len(line) <= MAX_SIZE or size == 0:
                _write(descriptor, line, size)
                return
            self._rotate(descriptor)
        with self._open() as descriptor:
            _write(descriptor, line, os.fstat(descriptor).st_size)

    @contextmanager
    def _open(self) -> Iterator[int]:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = open_ours(self._path, flags, make_folders=True, private=True)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _rotate(self, descriptor: int) -> None:
        """Move the full file aside, unless another daemon is doing that, or has."""
        with suppress(BlockingIOError, FileNotFoundError):  # it is; or has just now, and made no new one yet
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), self._path.stat()):
                older = [self._path.with_name(f"{self._path.name}.{n + 1}") for n in range(KEPT)]
                for source, target in reversed([*pairwise([self._path, *older])]):
                    with suppress(FileNotFoundError):
                        source.replace(target)


def _write(descriptor: int, line: bytes, size: int) -> None:
    if os.write(descriptor, line) < len(line):  # the disk is full, or there is a quota
        os.ftruncate(descriptor, size)  # half a line would spoil the next one as well
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
