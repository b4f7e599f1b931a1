"""The table of the front, and what it wants to be beside the own socket of the Codex behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from bench import report
from bench.front.measure import CLIENT, DELTA_P50, DELTA_P99, FLOOD, REQUEST_P50, REQUEST_P99

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Quantity, Row

BEGIN: Final = "<!-- Written by `make bench` of the app-server, from here -->"

HEAD: Final = (
    "| | accountd app-server | the Codex behind it | ÷ | a Codex by itself | accountd ÷ that |\n"
    "|---|---:|---:|---:|---:|---:|"
)


class Aim(msgspec.Struct, frozen=True):
    """A limit of the front: to how much more it takes than its Codex, how many times as much, or what at all."""

    quantity: Quantity
    more: float | None = None
    times: float | None = None
    most: float | None = None

    def judge(self, row: Row) -> str | None:
        """Say whether it is met, by the median of the rounds; None if it cannot be said."""
        ours, peer, ratio = row.spread("ours"), row.spread("peer"), row.ratio("peer")
        if ours is None or peer is None:
            return None
        unit = self.quantity.unit
        if self.more is not None:
            return _say(
                self.quantity, f"at most {self.more:g} {unit} more", ours.median - peer.median, self.more, unit
            )
        if self.most is not None:
            return _say(self.quantity, f"at most {self.most:g} {unit}", ours.median, self.most, unit)
        if ratio is None or self.times is None:
            return None
        return _say(self.quantity, f"at most {self.times:g} times", ratio.median, self.times, "times")


AIMS: Final = (
    Aim(REQUEST_P50, more=100),
    Aim(REQUEST_P99, times=1.5),
    Aim(DELTA_P50, more=150),
    Aim(DELTA_P99, times=1.5),
    Aim(FLOOD, times=1.05),
    Aim(CLIENT, most=1049),
)


def render(about: str, rows: Sequence[Row]) -> str:
    """Write what is between the markers."""
    return report.render(about, rows, judge, HEAD)


def judge(rows: Sequence[Row]) -> list[str]:
    """Say of each aim whether it is met."""
    found = {row.quantity: row for row in rows}
    return [said for aim in AIMS if aim.quantity in found and (said := aim.judge(found[aim.quantity])) is not None]


def _say(quantity: Quantity, aim: str, figure: float, limit: float, unit: str) -> str:
    verdict = "met" if figure <= limit else "not met"
    return f"{quantity.name}: {aim}: **{verdict}**, {report.number(figure)} {unit}."
