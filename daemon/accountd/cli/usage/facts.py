"""What `account/rateLimits/read` and `account/usage/read` say, as far as there is something to show.

The daemon's word is taken for the meaning, but for the form only where it is as expected: what is missing, or
of another type, is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from accountd.cli.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LAST_SECOND = 253_370_764_800
"""The beginning of the year 9999: later times are none that a calendar can show in every time zone."""
_LONGEST = 24 * 60 * 10_000
"""Minutes of a window that somebody may live to see the end of."""


class Window(NamedTuple):
    """A stretch of time of which `percent` is used, which may be more than a hundred. Times are Unix seconds."""

    kind: str
    percent: int
    minutes: int | None = None
    resets_at: int | None = None
    amount: str | None = None
    """Of what an organisation lets a person spend: `used of limit`."""


class Limit(NamedTuple):
    """One limit, and what of it is used. `reached` is the protocol's word for what stands in the way."""

    id: str
    name: str
    windows: tuple[Window, ...] = ()
    credits: str | None = None
    reached: str | None = None


class Facts(NamedTuple):
    """All there is to show. `today` and `streak` are of the tokens; `resets` the reset credits."""

    limits: tuple[Limit, ...] = ()
    plan: str | None = None
    resets: int | None = None
    resets_expire_at: int | None = None
    lifetime: int | None = None
    today: int | None = None
    streak: int | None = None


def read_facts(limits: Mapping[str, Any], usage: Mapping[str, Any] | None, today: str) -> Facts:
    """Read the two results; `today` is a date as in `daily_usage_buckets`, and of usage there may be none."""
    ordinary, by_id = _dict(limits.get("rateLimits")), _dict(limits.get("rateLimitsByLimitId"))
    resets = _dict(limits.get("rateLimitResetCredits"))
    expiries = [
        expires_at
        for credit in _dicts(resets.get("credits"))
        if credit.get("status") == "available" and (expires_at := _time(credit.get("expiresAt"))) is not None
    ]
    summary = _dict((usage or {}).get("summary"))
    days = {day.get("startDate"): _int(day.get("tokens")) for day in _dicts((usage or {}).get("dailyUsageBuckets"))}
    return Facts(
        tuple(_read_limit(limit) for limit in map(_dict, by_id.values() or [ordinary])),
        plan=_text(ordinary.get("planType")),
        resets=_int(resets.get("availableCount")),
        resets_expire_at=min(expiries, default=None),
        lifetime=_int(summary.get("lifetimeTokens")),
        today=days.get(today),
        streak=_int(summary.get("currentStreakDays")),
    )


def _read_limit(limit: dict[str, Any]) -> Limit:
    limit_id = _text(limit.get("limitId")) or "codex"
    reached = _text(limit.get("rateLimitReachedType"))
    if reached is None and limit.get("spendControlReached") is True:
        reached = "spend_control_reached"
    return Limit(
        limit_id,
        _text(limit.get("limitName")) or limit_id[:1].upper() + limit_id[1:].replace("_", " "),
        tuple(_read_windows(limit)),
        _read_credits(_dict(limit.get("credits"))),
        reached,
    )


def _read_windows(limit: dict[str, Any]) -> Iterator[Window]:
    for kind in ("primary", "secondary"):
        window = _dict(limit.get(kind))
        percent, minutes = _int(window.get("usedPercent")), _int(window.get("windowDurationMins"))
        if percent is not None:
            possible = minutes is not None and 0 < minutes <= _LONGEST
            yield Window(kind, percent, minutes if possible else None, _time(window.get("resetsAt")))
    spend = _dict(limit.get("individualLimit"))
    remaining, used, most = (spend.get(name) for name in ("remainingPercent", "used", "limit"))
    if (left := _int(remaining)) is not None:
        amount = f"{_text(used)} of {_text(most)}" if _text(used) and _text(most) else None
        yield Window("spend", 100 - left, resets_at=_time(spend.get("resetsAt")), amount=amount)


def _read_credits(bought: dict[str, Any]) -> str | None:
    if not bought:
        return None
    if bought.get("unlimited") is True:
        return "unlimited"
    return _text(bought.get("balance")) or "some" if bought.get("hasCredits") is True else "none"


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: object) -> int | None:
    seconds = _int(value)
    return seconds if seconds is not None and 0 < seconds < _LAST_SECOND else None


def _text(value: object) -> str | None:
    return one_line(value) or None if isinstance(value, str) else None
