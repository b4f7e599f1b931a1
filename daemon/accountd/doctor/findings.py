"""What a check finds: a verdict, a sentence, and one thing to do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from accountd.doctor.surroundings import Surroundings

Verdict = Literal["ok", "warn", "fail"]
"""`warn` works all the same, and somebody should know; `fail` does not work until somebody does something."""

DEADLINE: Final = 10.0
"""Seconds for a check that says nothing else."""

_NOTHING: Final[Mapping[str, str]] = {}


class Finding(NamedTuple):
    """What was found. `remedy` is one command or one sentence, for all but ok; `details` are for programs."""

    verdict: Verdict
    summary: str
    remedy: str | None = None
    details: Mapping[str, str] = _NOTHING


class Check(NamedTuple):
    """One thing to look at. The `name` is `category.thing`; what `examine` takes longer than is a failure."""

    name: str
    examine: Callable[[Surroundings], Awaitable[Finding]]
    deadline: float = DEADLINE


class Examined(NamedTuple):
    """A check that was made, and how many seconds it took."""

    name: str
    finding: Finding
    seconds: float


def ok(summary: str, **details: str) -> Finding:
    """Find that all is well."""
    return Finding("ok", summary, None, details)


def warn(summary: str, remedy: str, **details: str) -> Finding:
    """Find what should be known."""
    return Finding("warn", summary, remedy, details)


def fail(summary: str, remedy: str, **details: str) -> Finding:
    """Find what does not work."""
    return Finding("fail", summary, remedy, details)


def judge(examined: list[Examined]) -> Verdict:
    """Return the verdict on all of them together: the worst."""
    verdicts = {each.finding.verdict for each in examined}
    return next((verdict for verdict in ("fail", "warn") if verdict in verdicts), "ok")
