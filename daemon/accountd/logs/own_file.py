"""stderr where it is a file that we keep, as the log of a daemon that a client started: it is kept from growing.

Others append to that file as well: daemons of the same CODEX_HOME, and what Python itself has to say. Whoever finds
it full moves it aside, and each notices before its next line that its file has another name, and opens the new one.
A file that somebody else named is theirs to look after.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from accountd.files.rotation import rotate_if_full
from accountd.files.walk import open_ours

if TYPE_CHECKING:
    from collections.abc import Callable

_STDOUT: Final = 1


def open_own_file(path: str | None, descriptor: int) -> Callable[[int], None]:
    """Return what is to be called before so many bytes are written to a descriptor. It raises nothing.

    Does nothing unless the descriptor is, by now, of the file at that path.
    """
    if path is None or not _is_the_same(path, descriptor) or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return lambda _: None
    return partial(_make_room, Path(path), descriptor)


def _make_room(path: Path, descriptor: int, coming: int) -> None:
    with suppress(OSError):  # then it goes on where it was: a line is worth more than a bound
        rotate_if_full(path, descriptor, coming)
        if not _is_the_same(path, descriptor):
            _reopen(path, descriptor)


def _reopen(path: Path, descriptor: int) -> None:
    """Put the new file in the place of the old one; standard output as well, where that is the same."""
    is_stdout = os.path.samestat(os.fstat(_STDOUT), os.fstat(descriptor))
    new = open_ours(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, make_folders=True, private=True)
    try:
        os.dup2(new, descriptor)
        if is_stdout:
            os.dup2(new, _STDOUT)
    finally:
        os.close(new)


def _is_the_same(path: str | Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(descriptor))
    except OSError:
        return False
