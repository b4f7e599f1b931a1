"""What is used, as lines: bars for the person at a terminal, one line a window for whoever reads a pipe.

Pure: the time, its zone, the width and the style are given.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from accountd.cli.terminal import Screen, clip, count_columns, fold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from accountd.cli.usage.facts import Facts, Window

_REACHED = {
    "rate_limit_reached": "The limit is reached.",
    "workspace_owner_credits_depleted": "The workspace has no credits left.",
    "workspace_member_credits_depleted": "The workspace has no credits left; its owner can add some.",
    "workspace_owner_usage_limit_reached": "The workspace's usage limit is reached.",
    "workspace_member_usage_limit_reached": "Your limit in the workspace is reached; its owner can raise it.",
    "spend_control_reached": "What your organisation lets you spend is spent.",
}
_UNITS = ((7 * 24 * 60, "week"), (24 * 60, "day"), (60, "hour"), (1, "minute"))
_SOON, _NEARLY = 75, 95
"""Percent from which a bar is yellow, and from which it is red."""
_LONGEST_BAR, _SHORTEST_BAR = 50, 5
_LONGEST_NAME = 14
_EXACT = 10 * 24 * 60
"""Minutes up to which hours are told as well."""


class Clock(NamedTuple):
    """When it is, in Unix seconds, and where: None is the zone of this machine."""

    now: float
    zone: tzinfo | None = None

    def local(self, seconds: float) -> datetime:
        """Return a time on this clock."""
        return datetime.fromtimestamp(seconds, UTC).astimezone(self.zone)

    def today(self) -> str:
        """Return the date."""
        return self.local(self.now).date().isoformat()


class _Layout(NamedTuple):
    """Columns: of the names, of the percentages, and of what stands before a note."""

    name: int
    number: int
    indent: int


def render_report(facts: Facts, clock: Clock, screen: Screen) -> list[str]:
    """Return the lines for a terminal. None is wider than it."""
    shown = [limit for limit in facts.limits if limit.windows or limit.reached]
    layout = _lay_out([window for limit in shown for window in limit.windows], clock, screen)
    lines = []
    for limit in shown:
        lines.append(screen.style.bold(clip(limit.name, screen.width)))
        if limit.reached:
            text = _REACHED.get(limit.reached, f"Reached: {limit.reached}.")
            lines += [screen.style.red(line) for line in _fold(text, 2, screen)]
        for window in limit.windows:
            lines.append(_render_window(window, layout, screen))
            for note in _notes(window, clock):
                lines += [screen.style.dim(line) for line in _fold(note, layout.indent, screen)]
        lines.append("")
    rows = list(_rows(facts, clock))
    label = max((count_columns(name) for name, _ in rows), default=0) + 2
    for name, value in rows:
        first, *others = _fold(value, label, screen)
        title = clip(_pad(name, label), screen.width)
        lines += [screen.style.dim(title) + first[label:], *others]
    return lines if rows else lines[:-1]


def render_plain(facts: Facts, clock: Clock) -> list[str]:
    """Return the lines for a pipe: a window's limit, its kind, and what is used of it."""
    lines = []
    for limit in facts.limits:
        name = limit.id.replace(" ", "_")
        for window in limit.windows:
            parts = [
                f"{name} {window.kind} {window.percent}% used",
                window.amount,
                window.minutes and f"window {window.minutes} min",
                window.resets_at and f"resets {_iso(window.resets_at, clock)}",
            ]
            lines.append(", ".join(part for part in parts if part))
        lines += [f"{name} reached {limit.reached}"] if limit.reached else []
        lines += [f"{name} credits {limit.credits}"] if limit.credits else []
    if facts.plan:
        lines.append(f"plan {facts.plan}")
    if facts.resets is not None:
        expiry = f", first expires {_iso(facts.resets_expire_at, clock)}" if facts.resets_expire_at else ""
        lines.append(f"resets {facts.resets} available{expiry}")
    tokens = {"lifetime": facts.lifetime, "today": facts.today, "streak-days": facts.streak}
    return lines + [f"tokens {name} {value}" for name, value in tokens.items() if value is not None]


def _lay_out(windows: list[Window], clock: Clock, screen: Screen) -> _Layout:
    name = min(_LONGEST_NAME, max((count_columns(_name(window)) for window in windows), default=0))
    number = max((len(f"{window.percent}% used") for window in windows), default=0)
    longest = max((count_columns(note) for window in windows for note in _notes(window, clock)), default=0)
    under_bar = name + 4
    return _Layout(name, number, under_bar if under_bar + longest <= screen.width else 4)


def _render_window(window: Window, layout: _Layout, screen: Screen) -> str:
    """Write `name bar percent`, without the bar where there is no room for one."""
    name = f"  {_pad(clip(_name(window), layout.name), layout.name)}  "
    number = f"{window.percent}% used".rjust(layout.number)
    room = min(_LONGEST_BAR, screen.width - layout.name - layout.number - len("  " * 3))
    if room < _SHORTEST_BAR:
        return clip(name + number, screen.width)
    full = _count_full(window.percent, room)
    dark, light = "█░" if screen.blocks else "#-"
    style = screen.style
    paint = style.red if window.percent >= _NEARLY else style.yellow if window.percent >= _SOON else style.green
    return f"{name}{paint(dark * full)}{style.dim(light * (room - full))}  {number}"


def _count_full(percent: int, room: int) -> int:
    """Round such that only nothing looks like nothing, and only all like all."""
    if percent <= 0 or percent >= 100:
        return room if percent > 0 else 0
    return min(room - 1, max(1, round(room * percent / 100)))


def _notes(window: Window, clock: Clock) -> list[str]:
    """Return what stands under a window's bar."""
    reset = f"resets {_when(window.resets_at, clock)}" if window.resets_at else None
    return [note for note in (window.amount, reset) if note]


def _rows(facts: Facts, clock: Clock) -> Iterator[tuple[str, str]]:
    if facts.plan:
        yield "Plan", facts.plan
    for limit in facts.limits:
        if limit.credits:
            yield "Credits" if limit is facts.limits[0] else f"{limit.name} credits", limit.credits
    if facts.resets is not None:
        expiry = f", first expires {_date(facts.resets_expire_at, clock)}" if facts.resets_expire_at else ""
        yield "Resets", f"{facts.resets} available{expiry}"
    tokens = [
        facts.lifetime is not None and f"{facts.lifetime:,} in all",
        facts.today is not None and f"{facts.today:,} today",
    ]
    if any(tokens):
        yield "Tokens", ", ".join(text for text in tokens if text)
    if facts.streak is not None:
        yield "Streak", _count(facts.streak, "day")


def _name(window: Window) -> str:
    """Name a window by its length, as people do: `5 hours`, `week`."""
    if window.minutes is None:
        return window.kind
    minutes, unit = next((minutes, unit) for minutes, unit in _UNITS if window.minutes % minutes == 0)
    return _count(window.minutes // minutes, unit).removeprefix("1 ")


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def _when(seconds: int, clock: Clock) -> str:
    """Say `18:00, in 2 h 13 min`, with the date if that is another day."""
    left = -int((clock.now - seconds) // 60)  # rounded up: who comes then does not come too early
    if left <= 0:
        return "now"
    here, now = clock.local(seconds), clock.local(clock.now)
    time = f"{here:%H:%M}" if here.date() == now.date() else f"{_date(seconds, clock)} {here:%H:%M}"
    minutes = left if left < _EXACT else left // 1440 * 1440  # who waits for weeks counts days
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60 if minutes < 1440 else 0, "min"))
    return f"{time}, in {' '.join(f'{number:,} {unit}' for number, unit in parts if number)}"


def _date(seconds: int, clock: Clock) -> str:
    here = clock.local(seconds)
    text = f"{here:%a} {here.day} {here:%b}"
    return text if here.year == clock.local(clock.now).year else f"{text} {here.year}"


def _iso(seconds: int, clock: Clock) -> str:
    return clock.local(seconds).isoformat()


def _pad(text: str, width: int) -> str:
    return text + " " * (width - count_columns(text))


def _fold(text: str, indent: int, screen: Screen) -> list[str]:
    return [clip(" " * indent + line, screen.width) for line in fold(text, screen.width - indent)]
