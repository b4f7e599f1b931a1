"""What becomes of a task that fails as nobody foresaw."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from accountd.supervisor import FIRST_PAUSE, LONGEST_PAUSE, supervise

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "Bearer eyJhbGciOiJub25lIn0.secret"

FAILURES: dict[str, Callable[[], BaseException]] = {
    **{
        kind.__name__: lambda kind=kind: kind(SECRET)  # type: ignore[misc]  # each is made of a text
        for kind in (
            ValueError,
            KeyError,
            TypeError,
            RuntimeError,
            OSError,
            PermissionError,
            MemoryError,
            RecursionError,
            AssertionError,
            StopIteration,
            StopAsyncIteration,
            trio.BrokenResourceError,
            trio.TooSlowError,
        )
    },
    "UnicodeEncodeError": lambda: UnicodeEncodeError("ascii", SECRET, 0, 1, SECRET),
    "a group": lambda: ExceptionGroup(SECRET, [ValueError(SECRET), ExceptionGroup("", [KeyError(SECRET)])]),
}


class Work:
    """A task that fails as told, after so long, and then goes on for ever."""

    def __init__(self, *failures: BaseException, lasting: float = 0.0) -> None:
        self.began: list[float] = []
        self._failures = list(failures)
        self._lasting = lasting

    async def run(self) -> None:
        """Be the task."""
        self.began.append(trio.current_time())
        await trio.sleep(self._lasting)
        if self._failures:
            raise self._failures.pop(0)
        await trio.sleep_forever()


async def live(work: Work, seconds: float) -> list[float]:
    """Supervise a task for so long, and give the pauses between its runs."""
    with trio.move_on_after(seconds):
        await supervise("the work", work.run)
    return [later - earlier for earlier, later in zip(work.began, work.began[1:], strict=False)]


@pytest.mark.parametrize("name", FAILURES)
async def test_whatever_a_task_fails_with_it_goes_on(
    name: str, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After a pause, and one line that names the class and the place, and never the text."""
    assert await live(Work(FAILURES[name]()), 10) == [FIRST_PAUSE]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message.startswith("the work failed ")
    assert SECRET not in caplog.text
    assert record.exc_info is None


async def test_failures_in_a_row_are_waited_for_ever_longer(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Up to the longest pause; the same failure is told once, and another one once more."""
    pauses = await live(Work(*[ValueError()] * 5, KeyError(), *[ValueError()] * 5), 3600)
    assert pauses == [min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n in range(11)]
    assert [record.message.split(": ")[1].split(" at ")[0] for record in caplog.records] == [
        "ValueError",
        "KeyError",
    ]


async def test_a_task_that_had_recovered_begins_anew(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What fails once an hour is told each time, and begins again after the first pause."""
    pauses = await live(Work(*[ValueError()] * 3, lasting=3600), 3.5 * 3600)
    assert pauses == [3600 + FIRST_PAUSE] * 3
    assert len(caplog.records) == 3


async def test_a_task_may_end() -> None:
    """What returns has done its work, and is not begun again."""
    await supervise("the work", trio.lowlevel.checkpoint)


async def test_a_cancellation_goes_through(caplog: pytest.LogCaptureFixture) -> None:
    """Also one that comes together with a failure, out of a nursery of the task: that is told, and it ends."""

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise LookupError

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail_when_cancelled)

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervise, "the work", work)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert len(caplog.records) == 1


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_process_is_no_failure(end: type[BaseException]) -> None:
    """It is not for the supervisor to go on then."""
    with pytest.raises(end):
        await live(Work(end()), 10)


async def test_a_shortage_is_told_as_one(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is nobody's bug."""
    await live(Work(MemoryError()), 10)
    assert [record.message for record in caplog.records] == ["the work failed for want of room: out of memory"]


async def test_a_log_that_fails_is_no_failure_of_the_task(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on untold."""

    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(logging.getLogger("accountd.supervisor"), "error", fail)
    assert await live(Work(ValueError()), 10) == [FIRST_PAUSE]


async def test_the_way_to_a_failure_is_for_debugging(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It lists the places that it came through, and no values."""
    caplog.set_level(logging.DEBUG, "accountd.supervisor")
    await live(Work(ValueError(SECRET)), 10)
    way = caplog.records[-1]
    assert way.levelno == logging.DEBUG
    assert "supervisor.py:" in way.message
    assert "(run)" in way.message
    assert SECRET not in caplog.text
