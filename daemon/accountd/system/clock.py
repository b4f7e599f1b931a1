"""The time of day as the issuer has it, and sleeping by it: a token expires by the issuer's clock, not by ours.

A machine's clock may be hours or years ahead or behind, and be set while we run. Went we by it, a token would look
expired as it is issued, and each use would spend a refresh token. So whoever answers us outside tells the time
(RFC 9110 section 6.6.1), which is remembered with how far the machine had come by then: since boot, suspended or
not, and by its own clock. From then on there are three ways to tell the time, and they are asked in this order:

1. the machine's clock, as long as it agrees with what was heard, by the time since boot;
2. what was heard, and the time since boot. A clock that is set does not move it;
3. the same by the machine's clock, where that has moved further than the time since boot: it was set forward, or a
   virtual machine stood still. Nobody can tell, and the later time is taken: if it is wrong that costs one request,
   whose answer tells the time again.

trio's clock stands still during a suspend and knows nothing of a clock that is set. Linux has a timer that does;
elsewhere a sleep may end late, and whoever needs a token looks at the time anyway.
"""

from __future__ import annotations

import logging
import os
import struct
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import trio

from accountd.errors import describe_foreign

if TYPE_CHECKING:
    from collections.abc import Callable

SKEW: Final = 60.0
"""Seconds by which the machine's clock may be wrong and still be gone by; tokens and certificates have hours."""

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
        """Return the Unix time in seconds."""
        ...

    def ahead(self) -> float | None:
        """Return the seconds by which the machine's clock is ahead, negative if behind; None if nobody has told."""
        ...

    async def sleep_until(self, moment: float) -> None:
        """Sleep until a Unix time, or until the clock is set, or for as long as can be: look again then."""
        ...


class _Heard(NamedTuple):
    """What somebody said the time was, and the machine's two clocks at that moment."""

    moment: float
    since_boot: float
    wall: float


def _measure_since_boot() -> float:
    """Return seconds that go on while the machine is suspended, and when its clock is set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC)


class WallClock:
    """The Clock of this machine, put right by those outside."""

    def __init__(
        self, wall: Callable[[], float] = time.time, since_boot: Callable[[], float] = _measure_since_boot
    ) -> None:
        self._wall = wall
        self._since_boot = since_boot
        self._heard: _Heard | None = None
        self._sleepers = set[trio.CancelScope]()

    def now(self) -> float:
        """See Clock.now."""
        wall, heard = self._wall(), self._heard
        if heard is None:
            return wall
        expected = heard.moment + self._since_boot() - heard.since_boot
        if abs(wall - expected) < SKEW:
            return wall
        return max(expected, wall - heard.wall + heard.moment)

    def ahead(self) -> float | None:
        """See Clock.ahead. Within SKEW it is taken for right."""
        return None if self._heard is None else self._wall() - self.now()

    def hear(self, moment: float) -> None:
        """Take somebody's word for the time, who has a clock that tokens go by. Whoever sleeps looks again."""
        before, wall = self.now(), self._wall()
        self._heard = _Heard(moment, self._since_boot(), wall)
        if abs(self.now() - before) < SKEW:
            return
        words = describe_skew(wall - moment)
        _log.warning("the clock of this machine is %s; tokens go by the issuer's", words or "right again")
        for scope in tuple(self._sleepers):
            scope.cancel()

    async def sleep_until(self, moment: float) -> None:
        """See Clock.sleep_until."""
        with trio.CancelScope() as scope:
            self._sleepers.add(scope)
            try:
                await self._sleep(min(moment - self.now(), _FARTHEST))
            finally:
                self._sleepers.discard(scope)

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await trio.lowlevel.checkpoint()
        elif sys.platform != "linux":
            await trio.sleep(seconds)
        else:
            try:
                descriptor = _open_timer(self._wall() + seconds)
            except (OSError, ImportError) as error:
                _log.warning(
                    "there is no timer by the time of day, so it is looked at each minute: %s",
                    describe_foreign(error),
                )
                await trio.sleep(min(seconds, _PAUSE))
            else:
                await _wait_and_close(descriptor)


def describe_skew(ahead: float | None) -> str | None:
    """Return how wrong a clock is, against the issuer's; None if it is right, or nobody has told."""
    if ahead is None or abs(ahead) < SKEW:
        return None
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the issuer's"


def _open_timer(moment: float) -> int:
    """Return the descriptor of a timer by the wall clock. Raises OSError or ImportError for want of room."""
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
