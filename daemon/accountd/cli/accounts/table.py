"""The accounts as lines: a table, and on a terminal that is too narrow for it a few lines for each account.

Pure: the time, the width and the style are given.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from accountd.cli.selecting import label
from accountd.cli.terminal import Screen, clip, count_columns, fold, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accountd.client.results import ListedAccount

_HEADS: Final = ("NAME", "WHO", "WORKSPACE", "PLAN", "STATE")
_WIDTHS: Final = (7, 22, 9, 4, 0)
"""Columns that each has at least where there is room, so that the next account does not move them."""
_GAP: Final = 3
_INDENT: Final = 4
"""Columns before what goes on below a name, where a table does not fit."""
_DAY: Final = 24 * 3600
_YEARS: Final = 360 * _DAY


def render_table(accounts: Sequence[ListedAccount], now: float, screen: Screen) -> list[str]:
    """Return the lines. On a terminal none is wider than it, but for a command that is to be copied whole."""
    rows = [_describe(account, now) for account in accounts]
    cells = [_HEADS, *((*row[:-1], row[-1].replace("`", "")) for row in rows)]
    natural = [max(count_columns(row[column]) for row in cells) for column in range(len(_HEADS))]
    marks = [" ", *("*" if account["state"] == "active" else " " for account in accounts)]
    for widths, gap in (([*map(max, natural, _WIDTHS)], _GAP), (natural, _GAP), (natural, 2)):
        if 2 + sum(widths) + gap * (len(widths) - 1) <= screen.width:
            lines = [
                f"{mark} " + (" " * gap).join(map(_pad, row, widths))
                for mark, row in zip(marks, cells, strict=True)
            ]
            return [screen.style.dim(lines[0].rstrip()), *(line.rstrip() for line in lines[1:])]
    lines = []
    for mark, row in zip(marks[1:], rows, strict=True):
        lines.append(screen.style.bold(clip(f"{mark} {row[0]}", screen.width)))
        for text in (row[1], ", ".join(filter(None, row[2:4])), row[4]):
            lines += [" " * _INDENT + line.replace("`", "") for line in fold(text, screen.width - _INDENT) if line]
    return lines


def _describe(account: ListedAccount, now: float) -> tuple[str, ...]:
    """Return what stands in the columns; a command to copy has backticks around it."""
    who = account["email"] or ("API key" if account["authMode"] == "apikey" else "")
    workspace = account["workspace"]["name"] or account["workspace"]["id"] or ""
    cells = (label(account), who, workspace, account["planType"] or "", _describe_state(account, now))
    return tuple(map(one_line, cells))


def _describe_state(account: ListedAccount, now: float) -> str:
    again = f"log in again: `accountd login --account {label(account)}`"
    match account["state"]:
        case "active":
            return f"active, {again}" if account["needsLogin"] else "active"
        case "needsLogin":
            return again
        case "signedOut":
            return f"signed out; {again}"
        case "forbidden":
            return "not permitted here"
        case "doubtful":
            return f"stored, may be in use elsewhere{_describe_expiry(account['expiresAt'], now)}"
        case _:  # and what a daemon of a later version may have
            return f"{account['state']}{_describe_expiry(account['expiresAt'], now)}"


def _describe_expiry(expires_at: float | None, now: float) -> str:
    if expires_at is None or abs(expires_at - now) > 100 * _YEARS:  # which no calendar need have
        return ""
    if expires_at <= now:
        return ", token expired"
    then = time.localtime(expires_at)
    if expires_at - now < _DAY and then.tm_mday == time.localtime(now).tm_mday:
        return f", token until {time.strftime('%H:%M', then)}"
    year = f" {then.tm_year}" if expires_at - now > _YEARS else ""
    return f", token until {then.tm_mday} {time.strftime('%b', then)}{year}"


def _pad(text: str, width: int) -> str:
    return text + " " * (width - count_columns(text))
