"""Which lines are left out of the log, and when their number is told."""

from __future__ import annotations

import logging

from accountd.logs.context import bind_fields
from accountd.logs.limiter import FEW, MAX_KINDS, PERIOD, Limiter


def record(text: str = "a %s", *args: object, level: int = logging.INFO, kind: object = None) -> logging.LogRecord:
    """Make a record."""
    made = logging.LogRecord("accountd.tests", level, "", 0, text, args, None)
    made.kind = kind
    return made


def test_a_period_begins_with_the_first_of_a_kind() -> None:
    """The first few are written; the number of the others is due when the period is over; then it begins anew."""
    limiter = Limiter()
    assert [limiter.admit(record("a %s", n), n / 10) for n in range(FEW + 5)] == [True] * FEW + [False] * 5
    assert (limiter.due, list(limiter.collect(PERIOD - 0.1))) == (PERIOD, [])
    [repeats] = limiter.collect(PERIOD)
    assert repeats == ("accountd.tests", logging.INFO, f"a {FEW}", 5)
    assert list(limiter.collect(2 * PERIOD)) == []
    assert limiter.admit(record("a %s", 1), PERIOD)


def test_what_is_rare_is_always_written_and_nothing_is_due() -> None:
    """A kind that stays below the bound costs no timer."""
    limiter = Limiter()
    assert all(limiter.admit(record(), n * PERIOD / FEW) for n in range(10 * FEW))
    assert limiter.due is None


def test_a_kind_is_a_place_and_what_is_added_to_it() -> None:
    """Another text, level, stranger or door is another kind; other arguments are not."""
    limiter = Limiter()
    for _ in range(FEW):
        assert limiter.admit(record("a %s", 1), 0)
    assert not limiter.admit(record("a %s", 2), 0)
    assert limiter.admit(record("b %s", 1), 0)
    assert limiter.admit(record("a %s", 1, level=logging.WARNING), 0)
    assert limiter.admit(record("a %s", 1, kind=1001), 0)
    with bind_fields(door="token"):
        assert limiter.admit(record("a %s", 1), 0)


def test_whoever_can_be_many_is_one_kind_in_the_end() -> None:
    """A stranger with thousands of uids neither fills the memory nor the log."""
    limiter = Limiter()
    written = sum(limiter.admit(record(kind=uid), 0) for uid in range(MAX_KINDS) for _ in range(3))
    written += sum(limiter.admit(record(kind=uid), 0) for uid in range(MAX_KINDS, 60_000))
    assert written == 3 * MAX_KINDS + FEW
    assert len(limiter._kinds) <= MAX_KINDS + 1
    assert sum(repeats.number for repeats in limiter.collect(PERIOD)) == 60_000 - MAX_KINDS - FEW
    assert limiter.admit(record(kind=0), PERIOD)


def test_kinds_that_are_over_make_room() -> None:
    """What was there an hour ago takes no place from what is there now."""
    limiter = Limiter()
    for uid in range(MAX_KINDS):
        limiter.admit(record(kind=uid), 0)
    for uid in range(MAX_KINDS, 2 * MAX_KINDS):
        assert limiter.admit(record(kind=uid), PERIOD)
    assert len(limiter._kinds) <= MAX_KINDS + 1


def test_debugging_has_every_line() -> None:
    """Whoever asks for it looks for the one line among thousands."""
    limiter = Limiter()
    assert all(limiter.admit(record(level=logging.DEBUG), 0) for _ in range(10 * FEW))
