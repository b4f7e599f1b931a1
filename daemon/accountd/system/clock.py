"""The wall clock, and sleeping by it: a token's expiry is a time of day, and comes while a laptop is asleep.

trio's clock stands still during a suspend and knows nothing of a clock that is set. Linux has a timer that
does; elsewhere a sleep may end late, and whoever needs a token looks at the time anyway.
"""

from __future__ import annotations

import logging
import os
import struct
import sys
import time
from typing import Final, Protocol

import trio

from accountd.errors import describe_foreign

_CLOCK_REALTIME: Final = 0
_ABSOLUTE: Final = 1  # TFD_TIMER_ABSTIME
_CANCEL_ON_SET: Final = 2  # TFD_TIMER_CANCEL_ON_SET: be woken when the clock is set

_FARTHEST: Final = 100 * 365 * 86_400.0
"""Seconds that are slept at most: a time that somebody else named may be beyond what a timer can hold."""

_PAUSE: Final = 60.0
"""Seconds that are slept at most where there is no room for a timer."""

_log = logging.getLogger(__name__)


class Clock(Protocol):
    """A time of day that can be slept by."""

    def now(self) -> float:
        """Give the Unix time in seconds."""
        ...

    async def sleep_until(self, moment: float) -> None:
        """Sleep until a Unix time, or until the clock is set, or for as long as can be: look again then."""
        ...


class WallClock:
    """The Clock of this machine."""

    def now(self) -> float:
        """See Clock.now."""
        return time.time()

    async def sleep_until(self, moment: float) -> None:
        """See Clock.sleep_until."""
        now = self.now()
        moment = min(moment, now + _FARTHEST)
        if moment <= now:
            await trio.lowlevel.checkpoint()
        elif sys.platform != "linux":
            await trio.sleep(moment - now)
        else:
            try:
                descriptor = _open_timer(moment)
            except (OSError, ImportError) as error:
                _log.warning(
                    "there is no timer by the time of day, so it is looked at each minute: %s",
                    describe_foreign(error),
                )
                await trio.sleep(min(moment - now, _PAUSE))
            else:
                await _wait_and_close(descriptor)


def _open_timer(moment: float) -> int:
    """Give the descriptor of a timer by the wall clock. Raises OSError or ImportError for want of room."""
    import ctypes  # a daemon without a token to refresh has no use for it

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.timerfd_create(_CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    # `struct itimerspec` of timerfd_settime(2): the interval, then the expiry, in seconds and nanoseconds.
    seconds = int(moment)
    timer = struct.pack("@llll", 0, 0, seconds, int((moment - seconds) * 1e9) or 1)
    if libc.timerfd_settime(descriptor, _ABSOLUTE | _CANCEL_ON_SET, timer, None) != 0:
        number = ctypes.get_errno()
        os.close(descriptor)
        raise OSError(number, os.strerror(number))
    return descriptor


async def _wait_and_close(descriptor: int) -> None:
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        trio.lowlevel.notify_closing(descriptor)
        os.close(descriptor)
