"""A run of trio whose steps are counted, and the same each time: something can be made to happen after each.

A task runs from one checkpoint to the next without a break, and that is a step. Whatever happens to it from outside
happens between two steps, so a program that stands it after each of them stands it at every moment there is.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import trio
import trio.testing
from trio._core import _run as trio_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

T = TypeVar("T")
Blow = tuple[int, "Callable[[], None]"]
"""After how many steps, and what then. Steps count from the blow before."""


class Stepper(trio.abc.Instrument):
    """Counts the steps of every task while it is armed, and strikes when it is time."""

    def __init__(self) -> None:
        self._blows: list[Blow] = []
        self._count = 0
        self.struck = 0
        self.failure: Exception | None = None

    def arm(self, blows: Sequence[Blow]) -> None:
        """Count from here on, and strike each blow in its turn."""
        self._blows, self._count = list(blows), 0

    def disarm(self) -> None:
        """Strike no more."""
        self._blows = []

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See trio.abc.Instrument. trio only logs what an instrument raises; so it is kept."""
        if not self._blows:
            return
        self._count += 1
        if self._count >= self._blows[0][0]:
            _, strike = self._blows.pop(0)
            self._count = 0
            self.struck += 1
            try:
                strike()
            except Exception as error:  # noqa: BLE001 - raised by `run`
                self.failure = error


def run(main: Callable[[Stepper], Awaitable[T]], seed: int = 0) -> T:
    """Run on a clock that jumps; each seed has its own order in which tasks take turns, and no run another."""
    stepper = Stepper()
    with deterministic(seed):
        result = trio.run(main, stepper, clock=trio.testing.MockClock(autojump_threshold=0), instruments=[stepper])
    if stepper.failure is not None:
        raise stepper.failure
    return result


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Have trio shuffle tasks by the seed alone, and a thread be done within two steps.

    A thread would take as long as it likes while the clock jumps. Work in one cannot be cancelled, and neither can
    these steps; only one who has not begun is still cancelled in time.
    """
    state, sort, thread = trio_run._r.getstate(), trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio.to_thread.run_sync
    trio_run._r.seed(seed)
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # as trio's own plugin for Hypothesis does
    trio.to_thread.run_sync = _run_here  # type: ignore[assignment]  # of all that it can, this much is used
    try:
        yield
    finally:
        trio_run._r.setstate(state)
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = sort  # type: ignore[misc]  # as above
        trio.to_thread.run_sync = thread


async def _run_here(work: Callable[..., T], *args: object, **_: object) -> T:
    await trio.lowlevel.checkpoint_if_cancelled()
    await trio.lowlevel.cancel_shielded_checkpoint()
    try:
        return work(*args)
    finally:
        await trio.lowlevel.cancel_shielded_checkpoint()
