"""A disk that fails at one system call, whichever: the k-th of those that storing a credential is made of.

What is patched are the functions of `os` and `fcntl` below which only the kernel is; so each call counts once, in
the order in which the kernel would see it. Writes are counted as well: the file that `os.fdopen` gives has a raw
file that asks first.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

ERRORS = (
    errno.ENOSPC,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EDQUOT,
    errno.EMFILE,
    errno.ENOMEM,
    errno.ENOTDIR,
    errno.EFBIG,
)

CALLS = (
    (os, "open"),
    (os, "read"),
    (os, "write"),
    (os, "fstat"),
    (os, "stat"),
    (os, "fsync"),
    (os, "ftruncate"),
    (os, "mkdir"),
    (os, "link"),
    (os, "unlink"),
    (os, "replace"),
    (os, "rename"),
    (os, "chmod"),
    (fcntl, "flock"),
)


class Disk:
    """Counts the calls of a block, and fails the one that it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._fails: int | None = None
        self._error: int | None = errno.EIO
        self._counts = False

    @contextmanager
    def watched(
        self, fails: int | None = None, error: int | None = errno.EIO, *, lasting: bool = False
    ) -> Iterator[None]:
        """Count during the block; have the call of this number fail, and if it is `lasting` all after it.

        Without an error the process is killed before that call.
        """
        self.calls, self._fails, self._error, self._lasting = [], fails, error, lasting
        self._counts = True
        try:
            yield
        finally:
            self._counts = False

    def pass_through(self, name: str) -> None:
        """Note a call, or fail it."""
        if not self._counts:
            return
        number = len(self.calls)
        self.calls.append(name)
        if self._fails is not None and (number == self._fails or (self._lasting and number > self._fails)):
            if self._error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            assert self._error is not None
            raise OSError(self._error, os.strerror(self._error))


class _CountedFile(io.FileIO):
    disk: Disk

    def write(self, data: Any) -> int:
        self.disk.pass_through("write")
        return super().write(data)


def open_disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Give a disk that is between the code and the real one for as long as the test goes on."""
    disk = Disk()

    def intercept(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            disk.pass_through(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    def fdopen(descriptor: int, mode: str = "r", *_: object, **__: object) -> Any:
        assert mode == "wb"
        raw = _CountedFile(descriptor, mode)
        raw.disk = disk
        return io.BufferedWriter(raw)

    for module, name in CALLS:
        intercept(module, name)
    monkeypatch.setattr(os, "fdopen", fdopen)
    return disk
