"""Being told when a file is replaced, changed or removed by another program, or is no longer where it was.

Linux has inotify for it. Elsewhere nothing is watched, and what others do is seen when it matters: the store is
read again before every change.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

SETTLE: Final = 0.05
"""Seconds after a change in which further ones belong to it: a program that replaces a file touches it often."""

_FAREWELLS: Final = 0x400 | 0x800  # IN_DELETE_SELF, IN_MOVE_SELF: of what is watched itself
_OF_A_FOLDER: Final = 0x1000000 | _FAREWELLS  # IN_ONLYDIR
_EVENTS: Final = 0x8 | 0x40 | 0x80 | 0x200 | _OF_A_FOLDER  # IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE
_ARRIVALS: Final = 0x4 | 0x80 | 0x100 | _OF_A_FOLDER  # IN_ATTRIB, for permissions; IN_MOVED_TO, IN_CREATE
_MOVES: Final = 0x4 | 0x2000000 | _FAREWELLS  # IN_ATTRIB, for the number of links; IN_DONT_FOLLOW
_IGNORED: Final = 0x8000  # IN_IGNORED: the watch has ended, with its folder or its file system
_ENOUGH: Final = 4096  # bytes of events taken at once
_ENTRY_HEAD: Final = 16  # of `struct inotify_event`, whose name follows


async def watch_file(path: Path, on_change: Callable[[], Awaitable[None]], *, missed: bool = False) -> None:
    """Call `on_change` after each change of the file, for ever; with `missed`, also for what was before this.

    What is watched is its folder: a file that is replaced is another file afterwards. A folder that vanishes, or
    that cannot be reached any more, is waited for at the nearest one above it that can be. Returns where the
    system has no such thing, or no room for another watch.
    """
    folder = path.parent
    while sys.platform == "linux":
        with _open_watch(folder, _EVENTS) as here:
            if here is not None:
                if missed:
                    await on_change()  # with the watch open, so that nothing is missed
                await _watch_folder(here, path.name, on_change)
        if here is None:
            with _open_watch_above(folder) as above:
                if above is None:
                    return
                if missed:
                    await on_change()
                if not _can_be_watched(folder):  # it may have come just before it was waited for
                    await trio.lowlevel.wait_readable(above)
                    await trio.sleep(SETTLE)
        missed = True


async def wait_until_moved(path: Path, is_there: Callable[[], bool]) -> None:
    """Wait until `is_there` says that the file is no longer at its path; for ever, where nobody tells.

    What is watched is the file, whose links are counted, and not its folder: there others may do as they like,
    and would wake us each time.
    """
    if sys.platform != "linux":
        await trio.sleep_forever()
    with _open_watch(path, _MOVES) as descriptor:
        if descriptor is None:
            await trio.sleep_forever()
        while is_there():
            await trio.lowlevel.wait_readable(descriptor)
            await trio.sleep(SETTLE)
            os.read(descriptor, _ENOUGH)


async def _watch_folder(descriptor: int, name: str, on_change: Callable[[], Awaitable[None]]) -> None:
    """Call `on_change` after each change of a file in the folder, until the folder has gone."""
    while True:
        await trio.lowlevel.wait_readable(descriptor)
        events = [*_drain(descriptor)]
        concerned = any(found == name for _, found in events)
        if concerned:
            await trio.sleep(SETTLE)
            events += _drain(descriptor)
        if any(mask & (_FAREWELLS | _IGNORED) for mask, _ in events):
            return
        if concerned:
            await on_change()


@contextmanager
def _open_watch(place: Path, events: int) -> Iterator[int | None]:
    """Give the descriptor on which what happens at a place can be read; None where it cannot be watched."""
    import ctypes  # after the first client has been answered, if it is there already

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        yield None
        return
    try:
        watch = libc.inotify_add_watch(descriptor, os.fsencode(place), events)
        yield descriptor if watch >= 0 else None
    finally:
        trio.lowlevel.notify_closing(descriptor)
        os.close(descriptor)


@contextmanager
def _open_watch_above(folder: Path) -> Iterator[int | None]:
    """Watch the nearest of the folders above one for its coming."""
    with ExitStack() as stack:
        watches = (stack.enter_context(_open_watch(parent, _ARRIVALS)) for parent in folder.parents)
        yield next((found for found in watches if found is not None), None)


def _can_be_watched(folder: Path) -> bool:
    with _open_watch(folder, _EVENTS) as found:
        return found is not None


def _drain(descriptor: int) -> Iterator[tuple[int, str]]:
    """Take all events that have come: their masks, and the files that they are about."""
    with suppress(BlockingIOError):
        while events := os.read(descriptor, _ENOUGH):
            while events:
                mask, length = (int.from_bytes(events[start : start + 4], sys.byteorder) for start in (4, 12))
                yield mask, os.fsdecode(events[_ENTRY_HEAD : _ENTRY_HEAD + length].rstrip(b"\0"))
                events = events[_ENTRY_HEAD + length :]
