"""Being told when a file is replaced, changed or removed by another program.

Linux has inotify for it. Elsewhere nothing is watched, and what others do is seen when it matters: the store is
read again before every change.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

SETTLE: Final = 0.05
"""Seconds after a change in which further ones belong to it: a program that replaces a file touches it often."""

_EVENTS: Final = 0x8 | 0x40 | 0x80 | 0x200  # IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE
_ARRIVALS: Final = 0x80 | 0x100  # IN_MOVED_TO, IN_CREATE
_FAREWELLS: Final = 0x400 | 0x800  # IN_DELETE_SELF, IN_MOVE_SELF: of the folder itself
_IGNORED: Final = 0x8000  # IN_IGNORED: the watch has ended, with its folder or its file system
_ENTRY_HEAD: Final = 16  # of `struct inotify_event`, whose name follows


async def watch_file(path: Path, on_change: Callable[[], Awaitable[None]]) -> None:
    """Call `on_change` after each change of the file, for ever.

    What is watched is its folder: a file that is replaced is another file afterwards. A folder that vanishes is
    waited for. Returns where the system has no such thing, or no room for another watch.
    """
    again = False
    while sys.platform == "linux":
        folder = path.parent
        is_there = folder.is_dir()
        watched = folder if is_there else next(parent for parent in folder.parents if parent.is_dir())
        descriptor = _open_watch(watched, (_EVENTS if is_there else _ARRIVALS) | _FAREWELLS)
        if descriptor is None:
            return
        try:
            if again:
                await on_change()  # with the watch open, so that nothing is missed
            if is_there:
                await _watch_folder(descriptor, path.name, on_change)
            elif not folder.is_dir():  # it may have come just before it was waited for
                await trio.lowlevel.wait_readable(descriptor)
        finally:
            trio.lowlevel.notify_closing(descriptor)
            os.close(descriptor)
        again = True


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


def _open_watch(folder: Path, events: int) -> int | None:
    import ctypes  # after the first client has been answered, if it is there already

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), events) < 0:
        os.close(descriptor)
        return None
    return descriptor


def _drain(descriptor: int) -> Iterator[tuple[int, str]]:
    """Take all events that have come: their masks, and the files that they are about."""
    with suppress(BlockingIOError):
        while events := os.read(descriptor, 4096):
            while events:
                mask, length = (int.from_bytes(events[start : start + 4], sys.byteorder) for start in (4, 12))
                yield mask, os.fsdecode(events[_ENTRY_HEAD : _ENTRY_HEAD + length].rstrip(b"\0"))
                events = events[_ENTRY_HEAD + length :]
