"""Sleeping by the time of day, on this machine's clock."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import trio

from accountd.system.clock import WallClock


def count_descriptors() -> int:
    """Count what this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    """It is a checkpoint all the same."""
    with trio.fail_after(1):
        await WallClock().sleep_until(time.time() - 100)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere trio's own clock is slept by")
async def test_a_moment_is_waited_for_by_the_systems_timer() -> None:
    """The sleep ends at that time of day, not before."""
    clock = WallClock()
    moment = clock.now() + 0.05
    with trio.fail_after(5):
        await clock.sleep_until(moment)
    assert clock.now() >= moment


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere trio's own clock is slept by")
async def test_a_sleep_can_be_cancelled_and_leaves_nothing_open() -> None:
    """The timer's descriptor is closed, whichever way the sleep ends."""
    before = count_descriptors()
    for _ in range(5):
        with trio.move_on_after(0.001):
            await WallClock().sleep_until(time.time() + 1000)
    assert count_descriptors() == before


@pytest.mark.parametrize("moment", [9.3e18, 1e308, float("inf")])
async def test_the_farthest_moment_is_slept_for(moment: float) -> None:
    """A token may say that it expires beyond any time that a timer of the system knows: it is waited for."""
    with trio.move_on_after(0.01) as scope:
        await WallClock().sleep_until(moment)
    assert scope.cancelled_caught
