"""The table of floods, and which of them miss what accountd wants to be."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from bench.flood.hostile import FLOOR, KINDS
from bench.flood.measure import BACK, Answers
from bench.report import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.flood.measure import Flood

BEGIN: Final = "<!-- Written by `make flood`, from here -->"

TIMES: Final = 20
"""Times its quiet figure within which 99 of 100 answers are to come."""

LOG: Final = 64 << 10
"""Bytes by which the log may grow in one flood: ten lines of each kind."""

AUDIT: Final = 8 << 20
"""Bytes that the audit logs may have in all: four files of 1 MiB for the others, and as many for guests."""

_HEAD: Final = (
    "| Each client's flood | clients | p50 | p99 | ÷ quiet | ÷ floor | memory, most | left | descriptors | log"
    " | audit log | refreshes |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)
_DOORS: Final = {"main": "", "token": "guests: "}


def render(about: str, rest: int, audited: int, floods: Sequence[Flood]) -> str:
    """Write what is between the markers. `rest` is the memory at rest, `audited` the bytes of the audit logs."""
    quiet = find_quiet(floods)
    floors = {flood.clients: flood.answers.p99 for flood in floods if flood.kind == FLOOR}
    table = "\n".join([_HEAD, *(_render_row(flood, quiet, floors) for flood in floods)])
    said = (
        f"{about} A quiet daemon answers half of the questions in {number(quiet.p50)} ms and 99 of 100 in"
        f" {number(quiet.p99)} ms, and has {_megabytes(rest)}; the audit logs had {_kilobytes(audited)} at the end."
    )
    missed = [sentence for flood in floods for sentence in find_misses(flood, quiet, rest)]
    if audited > AUDIT:
        missed.append(f"the audit logs have {_kilobytes(audited)}")
    verdict = "\n".join(f"- Missed: {sentence}." for sentence in missed) if missed else "- All within their aims."
    return "\n\n".join([said, table, verdict])


def find_quiet(floods: Sequence[Flood]) -> Answers:
    """Give all answers that came before the floods, of a quiet daemon."""
    return Answers(tuple(itertools.chain.from_iterable(flood.quiet.took for flood in floods)))


def find_misses(flood: Flood, quiet: Answers, rest: int) -> list[str]:
    """Say which aims one flood misses."""
    what = f"{_name(flood)}, {flood.clients}"
    found = []
    if flood.answers.p99 > TIMES * quiet.p99:
        found.append(f"{what}: p99 is {number(flood.answers.p99 / quiet.p99)} times that of a quiet daemon")
    if flood.answers.refused:
        found.append(f"{what}: {flood.answers.refused} questions were refused")
    if flood.left > BACK * rest:
        found.append(f"{what}: {number(flood.left / rest)} times the memory at rest stay")
    if flood.descriptors > 0:
        found.append(f"{what}: {flood.descriptors} descriptors stay")
    if flood.logged > LOG:
        found.append(f"{what}: the log grew by {_kilobytes(flood.logged)}")
    return found


def _name(flood: Flood) -> str:
    return _DOORS[flood.door] + KINDS[flood.kind].says


def _render_row(flood: Flood, quiet: Answers, floors: dict[int, float]) -> str:
    p99, floor = flood.answers.p99, floors.get(flood.clients)
    cells = (
        _name(flood),
        str(flood.clients),
        f"{number(flood.answers.p50)} ms",
        f"{number(p99)} ms",
        number(p99 / quiet.p99),
        "—" if floor is None else number(p99 / floor),
        _megabytes(flood.peak),
        _megabytes(flood.left),
        str(flood.descriptors),
        _kilobytes(flood.logged),
        _kilobytes(flood.audited),
        str(flood.refreshes),
    )
    return f"| {' | '.join(cells)} |"


def _megabytes(size: int) -> str:
    return f"{number(size / (1 << 20))} MiB"


def _kilobytes(size: int) -> str:
    return f"{number(size / (1 << 10))} KiB"
