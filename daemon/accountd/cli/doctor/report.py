"""What the doctor found, for people and for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from accountd import __version__
from accountd.cli.terminal import complain, fold, one_line, say
from accountd.doctor.findings import judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from accountd.cli.terminal import Screen
    from accountd.doctor.findings import Examined, Verdict

_STATUS: Final[dict[Verdict, str]] = {"ok": "ok", "warn": "warning", "fail": "fail"}
"""As `codex doctor --json` has them."""

_NARROW: Final = 64
"""Columns below which a name has a line of its own."""

_MARK: Final = 6  # columns of a verdict
_NAME: Final = 21  # and of a name


def render_json(examined: list[Examined], now: float) -> str:
    """Render one JSON object, laid out as that of `codex doctor --json`. `now` is Unix time."""
    return json.dumps(
        {
            "schemaVersion": 1,
            "generatedAt": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "overallStatus": _STATUS[judge(examined)],
            "accountdVersion": __version__,
            "checks": {each.name: _as_json(each) for each in examined},
        },
        indent=2,
        ensure_ascii=False,
    )


def _as_json(each: Examined) -> dict[str, Any]:
    return {
        "id": each.name,
        "category": each.name.partition(".")[0],
        "status": _STATUS[each.finding.verdict],
        "summary": one_line(each.finding.summary),
        "details": {name: one_line(value) for name, value in each.finding.details.items()},
        "remediation": each.finding.remedy and one_line(each.finding.remedy),
        "durationMs": round(each.seconds * 1000),
    }


class Teller:
    """A Listener that tells a person of each check as it has ended."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def found(self, examined: Examined) -> None:
        """See Listener."""
        for line in render_check(examined, self._screen):
            say(line)

    def waits_for(self, names: Sequence[str]) -> None:
        """See Listener. Off a terminal nobody watches."""
        if self._screen.is_terminal:
            complain(f"waiting for {', '.join(names)}")


def render_total(examined: list[Examined], screen: Screen) -> str:
    """Render the last line, with the verdict on all of them."""
    counts = {verdict: sum(e.finding.verdict == verdict for e in examined) for verdict in _STATUS}
    total = f"{counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail"
    return screen.style.bold(_paint(judge(examined), total, screen))


def render_check(each: Examined, screen: Screen) -> Iterator[str]:
    """Render the lines of a check for a person: its verdict, and below it what to do about it."""
    finding = each.finding
    mark = _paint(finding.verdict, f"{finding.verdict:<{_MARK}}", screen)
    summary, remedy = one_line(finding.summary), one_line(finding.remedy or "")
    if screen.width < _NARROW:
        yield f"{mark}{each.name}"
        indent, lines = _MARK, ["", *fold(summary, screen.width - _MARK)]
    else:
        indent = _MARK + _NAME
        lines = fold(summary, screen.width - indent)
        yield f"{mark}{each.name:<{_NAME}}{lines[0]}"
    yield from (f"{'':<{indent}}{line}" for line in lines[1:])
    if remedy:
        first, *others = fold(remedy, screen.width - indent - 3)
        yield f"{'':<{indent}}{screen.style.bold('->')} {first}"
        yield from (f"{'':<{indent + 3}}{line}" for line in others)


def _paint(verdict: Verdict, text: str, screen: Screen) -> str:
    style = screen.style
    return {"ok": style.green, "warn": style.yellow, "fail": style.red}[verdict](text)
