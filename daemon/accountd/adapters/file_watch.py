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
    from collections.abc import Awaitable, Callable
    from pathlib import Path

SETTLE: Final = 0.05
"""Seconds after a change in which further ones belong to it: a program that replaces a file touches it often."""

_EVENTS: Final = 0x8 | 0x40 | 0x80 | 0x200  # IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE
_ENTRY_HEAD: Final = 16  # of `struct inotify_event`, whose name follows


async def watch_file(path: Path, on_change: Callable[[], Awaitable[None]]) -> None:
    """Call `on_change` after each change of the file, for ever.

    What is watched is its folder, which must be there: a file that is replaced is another file afterwards.
    Returns where the system has no such thing, or no room for another watch.
    """
    if sys.platform != "linux":
        return
    descriptor = _open_watch(path.parent)
    if descriptor is None:
        return
    try:
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            concerned = _drain(descriptor, path.name)
            if concerned:
                await trio.sleep(SETTLE)
                _drain(descriptor, path.name)
                await on_change()
    finally:
        trio.lowlevel.notify_closing(descriptor)
        os.close(descriptor)


def _open_watch(folder: Path) -> int | None:
    import ctypes  # after the first client has been answered, if it is there already

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), _EVENTS) < 0:
        os.close(descriptor)
        return None
    return descriptor


def _drain(descriptor: int, name: str) -> bool:
    """Take all events that have come, and say whether one of them was about the file of that name."""
    concerned = False
    with suppress(BlockingIOError):
        while events := os.read(descriptor, 4096):
            while events:
                length = int.from_bytes(events[12:_ENTRY_HEAD], sys.byteorder)
                concerned |= events[_ENTRY_HEAD : _ENTRY_HEAD + length].rstrip(b"\0") == os.fsencode(name)
                events = events[_ENTRY_HEAD + length :]
    return concerned
