"""Sleeping by the time of day, on this machine's clock."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import trio
import trio.testing

from accountd.system.clock import SKEW, WallClock, describe_skew


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


class Machine:
    """A machine whose clocks a test turns: `wall` may be set, `since_boot` goes on."""

    def __init__(self, wall: float) -> None:
        self.wall, self.since_boot = wall, 500.0
        self.clock = WallClock(lambda: self.wall, lambda: self.since_boot)

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.since_boot += seconds


TRUE = 1_800_000_000.0


@pytest.mark.parametrize("wrong", [7200.0, -7200.0, 1e9, -1.8e9])
def test_a_clock_that_is_wrong_is_put_right_by_who_answers(wrong: float) -> None:
    """By as much as it takes, from the first answer on, and while time passes; and when the clock is put right."""
    machine = Machine(TRUE + wrong)
    assert (machine.clock.now(), machine.clock.ahead()) == (TRUE + wrong, None)
    machine.clock.hear(TRUE)
    machine.go_on(3600)
    assert (machine.clock.now(), machine.clock.ahead()) == (TRUE + 3600, wrong)
    machine.wall = TRUE + 3600 + 1
    assert (machine.clock.now(), machine.clock.ahead()) == (TRUE + 3601, 0.0)


def test_a_clock_that_is_nearly_right_is_gone_by() -> None:
    """An answer tells the time to the second, and takes some."""
    machine = Machine(TRUE + SKEW - 1)
    machine.clock.hear(TRUE)
    assert (machine.clock.now(), machine.clock.ahead()) == (TRUE + SKEW - 1, 0.0)


def test_a_clock_that_is_set_back_while_we_run_moves_nothing() -> None:
    """What was heard goes on by the time since boot."""
    machine = Machine(TRUE)
    machine.clock.hear(TRUE)
    machine.wall -= 86_400
    assert (machine.clock.now(), machine.clock.ahead()) == (TRUE, -86_400)


def test_a_clock_that_is_set_forward_is_believed_until_somebody_tells() -> None:
    """A virtual machine that stood still looks the same; at worst it costs one request, whose answer tells."""
    machine = Machine(TRUE)
    machine.clock.hear(TRUE)
    machine.wall += 86_400
    assert machine.clock.now() == TRUE + 86_400
    machine.clock.hear(TRUE + 1)
    machine.go_on(10)
    assert (machine.clock.now(), machine.clock.ahead()) == (TRUE + 11, 86_399)


async def test_who_sleeps_looks_again_when_the_time_is_told(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """If it is another than was gone by, which the log says; a moment of the right time is slept for."""
    clock = WallClock()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.sleep_until, time.time() + 5000)
        await trio.testing.wait_all_tasks_blocked()
        clock.hear(time.time() + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        clock.hear(time.time() + 4000)
    assert "the clock of this machine is 4000 s behind the issuer's; tokens go by" in caplog.text.replace(
        "3999", "4000"
    )


def test_how_wrong_a_clock_is_can_be_said() -> None:
    """Nothing of one that is right, or of which nobody has told."""
    assert [describe_skew(ahead) for ahead in (None, 0.0, 59.9, -59.9)] == [None] * 4
    assert describe_skew(60.0) == "60 s ahead of the issuer's"
    assert describe_skew(-7200) == "7200 s behind the issuer's"
