"""The table: from rows to Markdown, and into its place in a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.goals import judge_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.figures import Role, Row, Spread

BEGIN: Final = "<!-- Written by `make bench`, from here -->"
END: Final = "<!-- to here -->"

_HEAD: Final = (
    "| | accountd | Codex | accountd ÷ Codex | floor | accountd ÷ floor |\n|---|---:|---:|---:|---:|---:|"
)


def render(
    about: str, rows: Sequence[Row], judged: Callable[[Sequence[Row]], Sequence[str]] = judge_all, head: str = _HEAD
) -> str:
    """Write what is between the markers."""
    table = "\n".join([head, *map(_render_row, rows)])
    return "\n\n".join([about, table, "\n".join(f"- {sentence}" for sentence in judged(rows))])


def replace(document: Path, text: str, marker: str = BEGIN) -> None:
    """Put a text between a marker of a document and the end. Raises ValueError if they are not there."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(marker)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document.name} lacks the markers between which the table stands")
    document.write_text(f"{before}{marker}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _render_row(row: Row) -> str:
    cells = [row.name, _figure(row, "ours"), _figure(row, "peer"), _ratio(row, "peer")]
    return f"| {' | '.join([*cells, _figure(row, 'floor'), _ratio(row, 'floor')])} |"


def _figure(row: Row, role: Role) -> str:
    found = row.spread(role)
    if found is None:
        return "—"
    unit = row.quantity.unit
    return f"{number(found.median)}{'' if unit in ('', '/s') else ' '}{unit}{_range(found)}"


def _ratio(row: Row, role: Role) -> str:
    found = row.ratio(role)
    return "—" if found is None else f"{number(found.median)}{_range(found)}"


def _range(spread: Spread) -> str:
    low, high = number(spread.low), number(spread.high)
    return "" if low == high else f" ({low} to {high})"


def number(value: float) -> str:
    """Write three digits that count, or all that stand before the point."""
    for least, places in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= least:
            return f"{value:,.{places}f}".replace(",", " ")
    return f"{value:.3f}" if value else "0"
