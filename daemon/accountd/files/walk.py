"""Opens what is at a path, if nobody but this user and root can have put it there.

To look at a path and then open it would be no use: by then it may lead elsewhere. So the way is walked here and not
by the kernel: each folder is opened in the one before it, without following, and looked at by its descriptor; each
link is looked at, and then the way that it points to is walked. Nobody else can change an entry of a folder that
`ownership` lets pass, so what was looked at in it is what is opened in it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from accountd.files.ownership import is_shared, render_mode, require_ours, trusts_unsafe_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_LINKS = 40
"""Links on one way, as Linux has it."""

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened to go on from it: on Linux also one that may not be listed."""

_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""How a file is opened that may be none: without waiting for the other end of a pipe."""


class NoRegularFile(OSError):
    """A pipe, a device or the like, which might be waited for without end, stands in the place of a file."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "Not a regular file")


class Entry(NamedTuple):
    """What a path leads to in the end, which need not be there: a name in an open folder."""

    folder: int
    name: str
    place: str
    """Its real path, for people: it may lead elsewhere by the time that it is opened."""

    in_shared: bool
    """Whether others may put something into the folder, as into /tmp."""


@contextmanager
def find_entry(path: str | os.PathLike[str], *, make_folders: bool = False) -> Iterator[Entry]:
    """Find the entry that a path leads to, its last link followed as well. Raises OSError: UnsafePath for the way.

    Missing folders on the way are made, if that is wanted, for this user alone. The entry itself is not looked at.
    """
    with _open_way() as way:
        name = way.go(path, make_folders=make_folders, to_its_end=False)
        yield Entry(way.folder, name, os.path.join(way.place, name), way.is_shared)


def check_folder(path: str | os.PathLike[str], *, make: bool = False) -> str:
    """Check that nobody else decides what is in a folder, made if wanted, and return its real path.

    Raises OSError: UnsafePath.
    """
    with _open_way() as way:
        way.go(path, make_folders=make, to_its_end=True)
        return way.place


def open_ours(
    path: str | os.PathLike[str], flags: int, *, make_folders: bool = False, private: bool = False
) -> int:
    """Open a regular file of ours, made with mode 0600. Raises OSError: UnsafePath where others may write to it.

    With `private`, for what has no reader but us, rights that others have to it are taken away, and that is logged.
    """
    with find_entry(path, make_folders=make_folders) as entry:
        descriptor = os.open(entry.name, flags | _FILE, 0o600, dir_fd=entry.folder)
    try:
        found = require_regular(descriptor)
        if private:
            found = _make_private(descriptor, found, entry.place)
        require_ours(found, entry.place, in_shared=entry.in_shared)
    except BaseException:  # whatever it is, the file is not left open; and it goes on
        os.close(descriptor)
        raise
    return descriptor


def require_regular(descriptor: int) -> os.stat_result:
    """Look at an open file. Raises OSError for what is none."""
    return check_regular(os.fstat(descriptor))


def check_regular(found: os.stat_result) -> os.stat_result:
    """Raise OSError for what is no regular file."""
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise NoRegularFile
    return found


def _make_private(descriptor: int, found: os.stat_result, place: str) -> os.stat_result:
    if not found.st_mode & 0o077 or trusts_unsafe_paths():
        return found
    with suppress(PermissionError):  # it is root's; whether that will do is for the rule to say
        os.fchmod(descriptor, 0o600)
    now = os.fstat(descriptor)
    if now.st_mode != found.st_mode:  # some file systems have one mode for all
        import logging  # which the verbs have no use for

        _log = logging.getLogger(__name__)
        _log.warning("other users could open %s: its mode was %s, and is 0600 now", place, render_mode(found))
    return now


class _Way:
    """A way through folders, of which the last is open."""

    def __init__(self) -> None:
        self.folder, self.place, self.is_shared = -1, "/", False

    def close(self) -> None:
        """Leave the last folder."""
        if self.folder >= 0:
            os.close(self.folder)
        self.folder = -1

    def go(self, path: str | os.PathLike[str], *, make_folders: bool, to_its_end: bool) -> str:
        """Walk to the end of a path, or to the folder of its last part, whose name is given. Raises OSError."""
        absolute = os.path.join(os.getcwd(), path) if not os.path.isabs(path) else os.fspath(path)
        self._start()
        pending, links = _split(absolute), 0
        while pending:
            name = pending.pop()
            found = self._look(name)
            if found is not None and stat.S_ISLNK(found.st_mode):
                require_ours(found, self._place_of(name), in_shared=self.is_shared)
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                target = os.readlink(name, dir_fd=self.folder)
                if os.path.isabs(target):
                    self._start()
                pending += _split(target)
            elif not pending and not to_its_end:
                return name
            else:
                if found is None and make_folders:
                    with suppress(FileExistsError):  # somebody else needed it at the same moment
                        os.mkdir(name, 0o700, dir_fd=self.folder)
                self._enter(name)
        return "."

    def _start(self) -> None:
        self.close()
        self.place, self.is_shared = "/", False
        self._enter("/")

    def _enter(self, name: str) -> None:
        inner = os.open(name, _FOLDER, dir_fd=self.folder if self.folder >= 0 else None)
        try:
            found, place = os.fstat(inner), self._place_of(name)
            require_ours(found, place, in_shared=self.is_shared)
        except BaseException:  # as above
            os.close(inner)
            raise
        self.close()
        self.folder, self.place, self.is_shared = inner, place, is_shared(found)

    def _look(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _place_of(self, name: str) -> str:
        return os.path.dirname(self.place) if name == ".." else os.path.join(self.place, name)


@contextmanager
def _open_way() -> Iterator[_Way]:
    way = _Way()
    try:
        yield way
    finally:
        way.close()


def _split(path: str) -> list[str]:
    """Return the parts of a path that lead somewhere, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
