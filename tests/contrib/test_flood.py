"""The benchmark of floods: that it floods a real daemon, and what it says of figures that are given."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.flood import table
from bench.flood.__main__ import run
from bench.flood.hostile import BROWSER, KINDS
from bench.flood.measure import Answers, Flood

QUIET = Answers((1.0,) * 100)
GOOD = Flood(
    "requests",
    "main",
    8,
    QUIET,
    QUIET,
    peak=50 << 20,
    left=40 << 20,
    descriptors=0,
    logged=0,
    audited=0,
    refreshes=0,
)
BAD = {
    "answers": (Answers((21.0,) * 100), "p99 is 21.0 times that of a quiet daemon"),
    "left": (49 << 20, "1.23 times the memory at rest stay"),
    "descriptors": (1, "1 descriptors stay"),
    "logged": (65 << 10, "the log grew by 65.0 KiB"),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads Linux's /proc")
def test_a_daemon_is_flooded_at_both_doors() -> None:
    """By one and by eight, and the floor beside it. The figures of a moment mean nothing."""
    text = run(["burn", "requests"], 0.02)
    rows = [
        line.split(" | ") for line in text.splitlines() if line.startswith(("| nothing", "| requests", "| guests"))
    ]
    assert [row[1] for row in rows] == ["1", "8"] * 3
    assert all("MiB" in row[6] for row in rows)


def test_each_kind_is_tried_where_it_can_be() -> None:
    """Guests have no port of a login, and no logins; everything else is tried at both."""
    alone = {word for word, kind in KINDS.items() if kind.doors == ("main",)}
    assert alone == {"burn", "logins", BROWSER}


@pytest.mark.parametrize("field", BAD)
def test_what_misses_its_aim_is_said(field: str) -> None:
    """In the document, below the table, with its figure."""
    figure, said = BAD[field]
    missed = msgspec.structs.replace(GOOD, **{field: figure})
    assert table.find_misses(missed, QUIET, 40 << 20) == [f"requests, 8: {said}"]
    assert f"- Missed: requests, 8: {said}." in table.render("", 40 << 20, 0, [missed])


def test_what_is_within_its_aims_is_said_too() -> None:
    """Of all floods, and of the audit logs; a question that is refused is none that was answered."""
    assert table.render("", 40 << 20, 0, [GOOD]).endswith("- All within their aims.")
    assert "- Missed: the audit logs have" in table.render("", 40 << 20, 9 << 20, [GOOD])
    refused = msgspec.structs.replace(GOOD, answers=Answers((1.0,) * 100, 3))
    assert table.find_misses(refused, QUIET, 40 << 20) == ["requests, 8: 3 questions were refused"]
