"""What accountd wants to be beside the app-server that it stands in for, and where it is not, by the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from bench.figures import Quantity
from bench.latency import P50
from bench.starting import READY, RESIDENT
from bench.throughput import RATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Row


class Goal(msgspec.Struct, frozen=True):
    """A limit for ratios to the peer: none above it, or none below where more is better."""

    says: str
    quantities: tuple[Quantity, ...]
    limit: float

    def meets(self, ratio: float) -> bool:
        """Say whether a ratio is within it."""
        return ratio >= self.limit if self.quantities[0].more_is_better else ratio <= self.limit


GOALS: Final = (
    Goal("Latency at most 0.12 of the peer's", (P50,), 0.12),
    Goal("Throughput at least 15 times the peer's, with any number of clients", tuple(RATES.values()), 15),
    Goal("Memory at rest at most 0.4 of the peer's", (RESIDENT,), 0.4),
    Goal("Ready in at most 1.5 times the peer's time", (READY,), 1.5),
)


def judge(goal: Goal, rows: Sequence[Row]) -> str | None:
    """Say whether a goal is met, by the worst of its rows; None if the peer was not measured."""
    found = [
        (ratio.median, row)
        for row in rows
        if row.quantity in goal.quantities and (ratio := row.ratio("peer")) is not None
    ]
    if not found:
        return None
    worst = min if goal.quantities[0].more_is_better else max
    median, row = worst(found, key=lambda pair: pair[0])
    ratios = row.ratios("peer")
    rounds = f"{sum(map(goal.meets, ratios))} of {len(ratios)} rounds"
    return f"{goal.says}: **{'met' if goal.meets(median) else 'not met'}**, {median:.3g}, within it in {rounds}."


def judge_all(rows: Sequence[Row]) -> list[str]:
    """Say it of each goal, and where the peer is ahead."""
    said = [sentence for goal in GOALS if (sentence := judge(goal, rows)) is not None]
    if not any("peer" in row.figures for row in rows):
        return ["No other server was measured beside it, so nothing is said of the goals."]
    behind = [f"{row.name} ({_times(row)})" for row in rows if row.is_behind()]
    return [*said, f"Where accountd is behind: {'; '.join(behind) if behind else 'nowhere that is measured here'}."]


def _times(row: Row) -> str:
    ratio = row.ratio("peer")
    return f"{ratio.median:.2f} times" if ratio is not None else "from nothing"
