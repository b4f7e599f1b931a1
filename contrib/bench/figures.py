"""Figures and what may be said of them: medians with their quartiles, and ratios of what was measured side by side.

A machine is faster in one minute than in the next. So servers are measured in turns, and a ratio is taken of each
pair of neighbours first; the median of those says more than the ratio of two medians.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Kind = Literal["ndjson", "ws"]
Role = Literal["ours", "peer", "floor"]


class Quantity(msgspec.Struct, frozen=True):
    """Something that is measured, which is one line of the table."""

    name: str
    unit: str
    more_is_better: bool = False


Sample = Mapping[Quantity, float]
"""What one measurement of one server found."""


class Spread(msgspec.Struct, frozen=True):
    """A median, and the quartiles around it."""

    low: float
    median: float
    high: float


class Row(msgspec.Struct, frozen=True):
    """A quantity over one framing, None if it has to do with none; each server's figures, one a round, in order."""

    quantity: Quantity
    kind: Kind | None
    figures: Mapping[Role, Sequence[float]]

    @property
    def name(self) -> str:
        """What stands at the beginning of its line."""
        framing = {"ws": ", WebSocket", "ndjson": ", lines", None: ""}
        return self.quantity.name + framing[self.kind]

    def spread(self, role: Role) -> Spread | None:
        """Give a server's median, None if it was not measured."""
        return spread(self.figures[role]) if role in self.figures else None

    def ratios(self, role: Role) -> Sequence[float]:
        """Divide ours by another server's, round by round; nothing where that says nothing."""
        own, others = self.figures.get("ours", ()), self.figures.get(role, ())
        if len(own) != len(others) or min((*own, *others), default=0) < 0 or min(others, default=0) == 0:
            return ()
        return [one / other for one, other in zip(own, others, strict=True)]

    def ratio(self, role: Role) -> Spread | None:
        """Give how many times the other's figure ours is, if that can be said."""
        found = self.ratios(role)
        return spread(found) if found else None

    def is_behind(self) -> bool:
        """Say whether the peer does better."""
        ratio, ours, peer = self.ratio("peer"), self.spread("ours"), self.spread("peer")
        if ours is None or peer is None:
            return False
        difference = ratio.median - 1 if ratio is not None else ours.median - peer.median
        return difference < 0 if self.quantity.more_is_better else difference > 0


def spread(values: Sequence[float]) -> Spread:
    """Give the median of one value or more, and the quartiles, which of a few are between them."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low, median, high)
