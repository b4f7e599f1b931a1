"""What an event is about: not said by whoever logs it, but known.

`about` names it for a block, and trio hands it down to the tasks that are started there. So a warning from deep
inside a refresh tells whose request it was.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

FIELDS: Final = ("connection", "door", "pid", "uid", "request", "login")
"""What a line of the log tells of what is under way. A client's own words are not among it."""

_under_way: ContextVar[Mapping[str, object] | None] = ContextVar("under_way", default=None)


class _Binding:
    """See about. A class, since every request passes through one, and a generator takes three times as long."""

    __slots__ = ("_before", "_fields")

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._before = _under_way.get()
        _under_way.set({**self._before, **self._fields} if self._before else self._fields)

    def __exit__(self, *_: object) -> None:
        _under_way.set(self._before)


def bind_fields(**fields: object) -> AbstractContextManager[None]:
    """Bind fields for the log lines of the block, and of tasks that are started in it, to those bound already."""
    return _Binding(fields)


def bound_fields() -> Mapping[str, object]:
    """Return the fields that the blocks around this have bound."""
    return _under_way.get() or {}
