"""Being told when a file is replaced, changed or removed by another program, or is no longer where it was.

What is at a path is decided by each link on the way to it as well. So these are watched, too, each in its folder;
and once one has changed, the way is looked for anew.

Linux has inotify for it. Elsewhere nothing is watched, and what others do is seen when it matters: the store is
read again before every change.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

SETTLE: Final = 0.05
"""Seconds after a change in which further ones belong to it: a program that replaces a file touches it often."""

_FAREWELLS: Final = 0x400 | 0x800  # IN_DELETE_SELF, IN_MOVE_SELF: of what is watched itself
_OF_A_FOLDER: Final = 0x1000000 | _FAREWELLS  # IN_ONLYDIR
_ARRIVES: Final = 0x100  # IN_CREATE; a link comes whole, a file is written after it
_IS_MOVED_HERE: Final = 0x80  # IN_MOVED_TO
_EVENTS: Final = (
    0x8 | 0x40 | 0x200 | _IS_MOVED_HERE | _ARRIVES | _OF_A_FOLDER
)  # IN_CLOSE_WRITE, IN_MOVED_FROM, IN_DELETE
_ARRIVALS: Final = 0x4 | _IS_MOVED_HERE | _ARRIVES | _OF_A_FOLDER  # IN_ATTRIB, for permissions
_ADD: Final = 0x20000000  # IN_MASK_ADD: a folder may be watched for two reasons
_MOVES: Final = 0x4 | 0x2000000 | _FAREWELLS  # IN_ATTRIB, for the number of links; IN_DONT_FOLLOW
_IGNORED: Final = 0x8000  # IN_IGNORED: the watch has ended, with its folder or its file system
_ENOUGH: Final = 4096  # bytes of events taken at once
_MAX_LINKS: Final = 40
_ENTRY_HEAD: Final = 16  # of `struct inotify_event`, whose name follows


async def watch_file(path: Path, on_change: Callable[[], Awaitable[None]], *, missed: bool = False) -> None:
    """Call `on_change` after each change of the file, for ever; with `missed`, also for what was before this.

    What is watched is its folder: a file that is replaced is another file afterwards. A folder that vanishes, or
    that cannot be reached any more, is waited for at the nearest one above it that can be. Returns where the
    system has no such thing, or no room for another watch.
    """
    while sys.platform == "linux":
        with _open_watches(path) as watches:
            if watches is None:
                return
            if missed:
                await on_change()  # with the watch open, so that nothing is missed
            if not watches.is_outdated():
                await watches.follow(on_change)
        missed = True


def find_way(path: Path) -> list[tuple[Path, str]]:
    """List the entries that decide what is at a path, by folder and name: links, and last the file itself."""
    place, pending = Path("/"), [*reversed(path.absolute().parts[1:])]
    found: list[tuple[Path, str]] = []
    while pending and len(found) < _MAX_LINKS:
        name = pending.pop()
        if name == "..":
            place = place.parent
            continue
        try:
            target = (place / name).readlink()
        except OSError:  # no link, or nothing
            if not pending:
                found.append((place, name))
            place /= name
        else:
            found.append((place, name))
            place = Path("/") if target.is_absolute() else place
            pending += [part for part in reversed(target.parts) if part != "/"]
    return found


class _Watches:
    """What is watched for one path, by the numbers that the system gives to watches."""

    def __init__(self, inotify: _Inotify, path: Path) -> None:
        self._inotify = inotify
        self._path = path
        self._way = find_way(path)
        self._links: set[tuple[int, str]] = set()
        *links, (folder, name) = self._way
        for place, link in links:
            if (watch := inotify.add(place, _EVENTS)) is not None:
                self._links.add((watch, link))
        watch = inotify.add(folder, _EVENTS)
        self._file = None if watch is None else (watch, name)
        self._above: int | None = None
        if watch is None:
            parents = (inotify.add(parent, _ARRIVALS) for parent in folder.parents)
            self._above = next((found for found in parents if found is not None), None)

    @property
    def is_any(self) -> bool:
        """Return True if the file is watched, or its coming."""
        return self._file is not None or self._above is not None

    def is_outdated(self) -> bool:
        """Return True if the way has become another one while it was looked for."""
        folder = self._way[-1][0]
        return find_way(self._path) != self._way or (self._file is None and self._inotify.can_add(folder))

    async def follow(self, on_change: Callable[[], Awaitable[None]]) -> None:
        """Call `on_change` after each change of the file, until the way to it may be another one."""
        while True:
            await trio.lowlevel.wait_readable(self._inotify.descriptor)
            events = [*_drain(self._inotify.descriptor)]
            if any(self._concerns_us(*event) for event in events):
                await trio.sleep(SETTLE)
                events += _drain(self._inotify.descriptor)
            if any(self._leads_elsewhere(*event) for event in events):
                return
            if any(self._concerns_us(*event) for event in events):
                await on_change()

    def _leads_elsewhere(self, watch: int, mask: int, name: str) -> bool:
        if mask & (_FAREWELLS | _IGNORED) or watch == self._above or (watch, name) in self._links:
            return True
        return (watch, name) == self._file and bool(mask & (_ARRIVES | _IS_MOVED_HERE)) and self._path.is_symlink()

    def _concerns_us(self, watch: int, mask: int, name: str) -> bool:
        if (watch, name) == self._file and not mask & ~_ARRIVES:  # nothing is in it yet, unless it is a link
            return self._path.is_symlink()
        return watch == self._above or (watch, name) in (self._file, *self._links)


async def wait_until_moved(path: Path, is_there: Callable[[], bool]) -> None:
    """Wait until `is_there` says that the file is no longer at its path; for ever, where nobody tells.

    What is watched is the file, whose links are counted, and not its folder: there others may do as they like,
    and would wake us each time.
    """
    if sys.platform != "linux":
        await trio.sleep_forever()
    with _open_inotify() as inotify:
        if inotify is None or inotify.add(path, _MOVES) is None:
            await trio.sleep_forever()
        while is_there():
            await trio.lowlevel.wait_readable(inotify.descriptor)
            await trio.sleep(SETTLE)
            os.read(inotify.descriptor, _ENOUGH)


class _Inotify:
    """A descriptor on which can be read what happens at several places."""

    def __init__(self, libc: Any, descriptor: int) -> None:
        self._libc = libc
        self.descriptor = descriptor

    def add(self, place: Path, events: int) -> int | None:
        """Watch a place as well, and return the number of the watch; None where it cannot be watched."""
        watch: int = self._libc.inotify_add_watch(self.descriptor, os.fsencode(place), events | _ADD)
        return watch if watch >= 0 else None

    def can_add(self, place: Path) -> bool:
        """Return True if a place could be watched by now."""
        with _open_inotify() as other:
            return other is not None and other.add(place, _EVENTS) is not None


@contextmanager
def _open_inotify() -> Iterator[_Inotify | None]:
    import ctypes  # after the first client has been answered, if it is there already

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        yield None
        return
    try:
        yield _Inotify(libc, descriptor)
    finally:
        trio.lowlevel.notify_closing(descriptor)
        os.close(descriptor)


@contextmanager
def _open_watches(path: Path) -> Iterator[_Watches | None]:
    with _open_inotify() as inotify:
        watches = None if inotify is None else _Watches(inotify, path)
        yield watches if watches is not None and watches.is_any else None


def _drain(descriptor: int) -> Iterator[tuple[int, int, str]]:
    """Take all events that have come: their watches, their masks, and the names that they are about."""
    with suppress(BlockingIOError):
        while events := os.read(descriptor, _ENOUGH):
            while events:
                starts = (0, 4, 12)
                watch, mask, length = (int.from_bytes(events[at : at + 4], sys.byteorder) for at in starts)
                yield watch, mask, os.fsdecode(events[_ENTRY_HEAD : _ENTRY_HEAD + length].rstrip(b"\0"))
                events = events[_ENTRY_HEAD + length :]
