"""Failures that nobody foresaw, at every place: after each await of the background tasks, and at each call in them.

Nobody lists the places. An instrument counts the steps of those tasks, and has one end in an exception instead of
what it waited for; or it counts the calls of our functions in them, and has one raise before it has begun.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import outcome
import trio

import accountd

if TYPE_CHECKING:
    from types import FrameType

SECRET: Final = "Illegal header value b'Bearer eyJhbGciOiJub25lIn0.secret-secret'"
"""What a foreign exception may quote."""

FAILURES: Final[dict[str, Callable[[], Exception]]] = {
    **{
        kind.__name__: partial(kind, SECRET)
        for kind in (
            ValueError,
            UnicodeError,
            KeyError,
            IndexError,
            AttributeError,
            TypeError,
            RuntimeError,
            ArithmeticError,
            NotImplementedError,
            OSError,
            PermissionError,
            FileNotFoundError,
            NotADirectoryError,
            ConnectionResetError,
            TimeoutError,
            MemoryError,
            RecursionError,
            AssertionError,
            ImportError,
            EOFError,
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            trio.BusyResourceError,
            trio.TooSlowError,
        )
    },
    "UnicodeEncodeError": partial(UnicodeEncodeError, "ascii", SECRET, 0, 1, SECRET),
    "UnicodeDecodeError": partial(UnicodeDecodeError, "ascii", SECRET.encode(), 0, 1, SECRET),
    "a group": lambda: ExceptionGroup(SECRET, [ValueError(SECRET), ExceptionGroup(SECRET, [KeyError(SECRET)])]),
}
"""Whatever a library, the system or a bug of ours may raise."""

_BACKGROUND: Final = {"supervise", "_fly", "_run"}
"""Where the background begins: the supervised tasks, a refresh, a login."""

_NEVER: Final = {"acquire", "_nested_child_finished", "_yield_soon"}
"""Functions of trio in which nothing fails: what they have got by then would be lost, a lock for one."""

_OURS: Final = str(Path(accountd.__file__).parent)
_DEFENCE: Final = ("supervisor.py", "unforeseen.py", "logs/", "redaction.py", "errors.py", "hub.py")
"""What a failure is told with, to the log and to clients."""


class Failing(trio.abc.Instrument):
    """Has the background fail once, while it is armed: at its `nth` await, or with `calls` at its nth call."""

    def __init__(self, failure: str, nth: int, *, calls: bool) -> None:
        self._failure = FAILURES[failure]
        self._nth = nth
        self._calls = calls
        self._armed = False
        self._tracing = False
        self._before: Any = None
        self.struck: str | None = None

    def arm(self) -> None:
        """Count from here on."""
        self._armed = True

    def disarm(self) -> None:
        """Fail nowhere any more."""
        self._armed = False

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """See trio.abc.Instrument."""
        if not self._armed or not _is_background(task):
            return
        if self._calls:
            self._before, self._tracing = sys.gettrace(), True
            sys.settrace(self._trace)
            return
        places = [frame.f_code.co_name for frame, _ in task.iter_await_frames()] if task.coro.cr_await else []
        if _can_fail(places) and self._count():
            self._strike(", ".join(places))
            task._next_send = outcome.Error(self._failure())

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See trio.abc.Instrument."""
        if self._tracing:
            self._tracing = False
            sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        is_new = event == "call" and frame.f_lineno == code.co_firstlineno  # and no coroutine that goes on
        is_new &= not code.co_name.startswith("<")  # a generator that is thrown away is called, too
        is_new &= "/sandbox/" not in code.co_filename  # which is elsewhere, as a rule
        is_new &= code.co_name != "__post_init__"  # whose failure is msgspec's word for a wrong value
        is_new &= code.co_name not in _BACKGROUND  # which are begun by trio itself
        if not (is_new and code.co_filename.startswith(_OURS)) or _is_defence(frame):
            return
        if self._armed and self._count():
            self._strike(code.co_qualname)
            raise self._failure()

    def _count(self) -> bool:
        self._nth -= 1
        return self._nth == 0

    def _strike(self, where: str) -> None:
        self.struck = where
        self.disarm()


def _is_background(task: trio.lowlevel.Task) -> bool:
    while task.parent_nursery is not None:
        if task.coro.cr_code.co_name in _BACKGROUND:
            return True
        task = task.parent_nursery.parent_task
    return False


def _can_fail(places: list[str]) -> bool:
    """Say whether something foreign could fail there; not in the pause after a failure."""
    return bool(places) and _NEVER.isdisjoint(places) and places[:2] != ["supervise", "sleep"]


def _is_defence(frame: FrameType | None) -> bool:
    """Say whether a call is a part of telling a failure, or of having the task go on."""
    while frame is not None and frame.f_code.co_filename.startswith((_OURS, "<")):
        place = frame.f_code.co_filename.removeprefix(f"{_OURS}/")
        if place.startswith(_DEFENCE) and frame.f_code.co_name != "supervise":
            return True
        frame = frame.f_back
    return False
