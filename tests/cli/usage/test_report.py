"""What is used, as lines: for every width, and from every answer that a daemon may give."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.cli.terminal import Screen, Style, count_columns
from accountd.cli.usage.facts import Facts, Limit, Window, read_facts
from accountd.cli.usage.report import Clock, render_plain, render_report

NOW = int(datetime(2026, 11, 22, 15, 47, tzinfo=UTC).timestamp())  # a Sunday
CLOCK = Clock(NOW, timezone(timedelta(hours=1)))
HOUR, DAY = 3600, 86_400
CODEX: dict[str, Any] = {
    "limitId": "codex",
    "planType": "plus",
    "limitName": None,
    "primary": {"usedPercent": 42, "windowDurationMins": 300, "resetsAt": NOW + 2 * HOUR + 13 * 60},
    "secondary": {"usedPercent": 107, "windowDurationMins": 10080, "resetsAt": NOW + 3 * DAY},
    "credits": {"hasCredits": True, "unlimited": False, "balance": "12.50"},
    "individualLimit": {"limit": "50", "used": "40.2", "remainingPercent": 20, "resetsAt": NOW + 40 * DAY},
    "spendControlReached": False,
    "rateLimitReachedType": "workspace_member_usage_limit_reached",
}
OTHER: dict[str, Any] = {
    "limitId": "codex_spark",
    "limitName": "Spark",
    "primary": {"usedPercent": 3, "windowDurationMins": 1440, "resetsAt": NOW - 5},
    "secondary": None,
}
LIMITS: dict[str, Any] = {
    "rateLimits": CODEX,
    "rateLimitsByLimitId": {"codex": CODEX, "codex_spark": OTHER},
    "rateLimitResetCredits": {
        "availableCount": 2,
        "credits": [
            {"status": "redeemed", "expiresAt": NOW + DAY},
            {"status": "available", "expiresAt": None},
            {"status": "available", "expiresAt": NOW + 400 * DAY},
            {"status": "available", "expiresAt": NOW + 20 * DAY},
        ],
    },
}
USAGE: dict[str, Any] = {
    "summary": {"lifetimeTokens": 1_234_567, "currentStreakDays": 1},
    "dailyUsageBuckets": [{"startDate": "2026-11-21", "tokens": 9}, {"startDate": "2026-11-22", "tokens": 3400}],
}
FACTS = read_facts(LIMITS, USAGE, CLOCK.today())
WITHOUT_COLOURS = Style()


def test_eighty_columns() -> None:
    """A bar for each window, when it resets under it, and what else is known."""
    assert render_report(FACTS, CLOCK, Screen(True, 80, WITHOUT_COLOURS, blocks=True)) == [
        "Codex",
        "  Your limit in the workspace is reached; its owner can raise it.",
        f"  5 hours  {'█' * 21}{'░' * 29}   42% used",
        "           resets 19:00, in 2 h 13 min",
        f"  week     {'█' * 50}  107% used",
        "           resets Wed 25 Nov 16:47, in 3 d",
        f"  spend    {'█' * 40}{'░' * 10}   80% used",
        "           40.2 of 50",
        "           resets Fri 1 Jan 2027 16:47, in 40 d",
        "",
        "Spark",
        f"  day      {'█' * 2}{'░' * 48}    3% used",
        "           resets now",
        "",
        "Plan     plus",
        "Credits  12.50",
        "Resets   2 available, first expires Sat 12 Dec",
        "Tokens   1,234,567 in all, 3,400 today",
        "Streak   1 day",
    ]


def test_forty_columns() -> None:
    """The bars are shorter, notes move to the left, and sentences are folded between words."""
    assert render_report(FACTS, CLOCK, Screen(True, 40, WITHOUT_COLOURS, blocks=False))[:8] == [
        "Codex",
        "  Your limit in the workspace is",
        "  reached; its owner can raise it.",
        f"  5 hours  {'#' * 8}{'-' * 10}   42% used",
        "    resets 19:00, in 2 h 13 min",
        f"  week     {'#' * 18}  107% used",
        "    resets Wed 25 Nov 16:47, in 3 d",
        f"  spend    {'#' * 14}{'-' * 4}   80% used",
    ]


def test_where_there_is_no_room_for_bars_there_are_numbers() -> None:
    """A window is still a line."""
    assert "  week     107% used" in render_report(FACTS, CLOCK, Screen(True, 24, WITHOUT_COLOURS, blocks=True))


@pytest.mark.parametrize(("percent", "code"), [(0, 32), (74, 32), (75, 33), (94, 33), (95, 31), (250, 31)])
def test_a_bar_says_by_its_colour_what_its_number_says(percent: int, code: int) -> None:
    """Green is well, yellow is soon over, and red is as good as over; without colours the text is the same."""
    facts = Facts((Limit("codex", "Codex", (Window("primary", percent),)),))
    coloured, plain = (render_report(facts, CLOCK, Screen(True, 60, Style(ansi), True)) for ansi in (True, False))
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in coloured] == plain
    assert (f"\x1b[{code}m█" in coloured[1]) is (percent > 0)


@pytest.mark.parametrize(
    ("percent", "full"), [(-3, 0), (0, 0), (1, 1), (2, 1), (50, 25), (99, 49), (100, 50), (10**20, 50)]
)
def test_only_nothing_looks_empty_and_only_all_looks_full(percent: int, full: int) -> None:
    """A bar has room between; the number is always the true one."""
    facts = Facts((Limit("codex", "Codex", (Window("primary", percent),)),))
    line = render_report(facts, CLOCK, Screen(True, 120, WITHOUT_COLOURS, blocks=True))[1]
    assert line.count("█") == full
    assert line.endswith(f" {percent}% used")


@pytest.mark.parametrize(
    ("minutes", "name"),
    [
        (300, "5 hours"),
        (60, "hour"),
        (90, "90 minutes"),
        (1440, "day"),
        (43200, "30 days"),
        (10080, "week"),
        (20160, "2 weeks"),
        (None, "primary"),
        (0, "primary"),
        (-5, "primary"),
        (10**30, "primary"),
    ],
)
def test_a_window_is_named_by_its_length(minutes: int | None, name: str) -> None:
    """As people say it; one whose length nobody knows by its place in the protocol."""
    limits = {"rateLimits": {"primary": {"usedPercent": 1, "windowDurationMins": minutes}}}
    lines = render_report(read_facts(limits, None, ""), CLOCK, Screen(True, 80, WITHOUT_COLOURS, True))
    assert lines[1].startswith(f"  {name}  ")


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (-DAY, "resets now"),
        (0, "resets now"),
        (1, "resets 16:47, in 1 min"),
        (61, "resets 16:48, in 2 min"),
        (HOUR, "resets 17:47, in 1 h"),
        (8 * HOUR, "resets Mon 23 Nov 00:47, in 8 h"),
        (DAY + HOUR + 60, "resets Mon 23 Nov 17:48, in 1 d 1 h"),
        (12 * DAY + 5 * HOUR, "resets Fri 4 Dec 21:47, in 12 d"),
    ],
)
def test_a_reset_is_told_by_the_clock_and_by_the_time_until_it(left: int, words: str) -> None:
    """In the local zone, with the day unless it is today; the time is rounded up, so nobody comes too early."""
    facts = Facts((Limit("codex", "Codex", (Window("primary", 1, resets_at=NOW + left),)),))
    assert render_report(facts, CLOCK, Screen(True, 80, WITHOUT_COLOURS, True))[2].strip() == words


def test_a_line_for_each_window_off_a_terminal() -> None:
    """The same facts for grep, with times in ISO 8601 and the protocol's own words."""
    assert render_plain(FACTS, CLOCK) == [
        "codex primary 42% used, window 300 min, resets 2026-11-22T19:00:00+01:00",
        "codex secondary 107% used, window 10080 min, resets 2026-11-25T16:47:00+01:00",
        "codex spend 80% used, 40.2 of 50, resets 2027-01-01T16:47:00+01:00",
        "codex reached workspace_member_usage_limit_reached",
        "codex credits 12.50",
        "codex_spark primary 3% used, window 1440 min, resets 2026-11-22T16:46:55+01:00",
        "plan plus",
        "resets 2 available, first expires 2026-12-12T16:47:00+01:00",
        "tokens lifetime 1234567",
        "tokens today 3400",
        "tokens streak-days 1",
    ]


@pytest.mark.parametrize(
    ("bought", "words"),
    [
        ({"hasCredits": False, "unlimited": False, "balance": None}, "none"),
        ({"hasCredits": True, "unlimited": True, "balance": None}, "unlimited"),
        ({"hasCredits": True, "unlimited": False, "balance": None}, "some"),
    ],
)
def test_what_was_bought(bought: dict[str, Any], words: str) -> None:
    """Credits without an end have no balance, nor have none."""
    facts = read_facts({"rateLimits": {"credits": bought}}, None, "")
    assert render_plain(facts, CLOCK) == [f"codex credits {words}"]
    assert render_report(facts, CLOCK, Screen(True, 80)) == [f"Credits  {words}"]


def test_a_limit_that_is_reached_in_a_way_of_the_future() -> None:
    """A word that is not known here is shown as it is; spending that is over has no word in the protocol."""
    for limit, words in (
        ({"rateLimitReachedType": "too_loud"}, "Reached: too_loud."),
        ({"spendControlReached": True}, "What your organisation lets you spend is spent."),
    ):
        facts = read_facts({"rateLimits": limit}, None, "")
        assert render_report(facts, CLOCK, Screen(True, 80)) == ["Codex", f"  {words}"]


def test_text_from_elsewhere_cannot_steer_the_terminal() -> None:
    """Names are shown on one line, without control characters."""
    limit = {"limitId": "a\x1b]0;b\x07\nc", "limitName": "x\ny\x9b", "primary": {"usedPercent": 1}}
    facts = read_facts({"rateLimitsByLimitId": {"a": limit}}, None, "")
    assert render_plain(facts, CLOCK) == ["a�]0;b�_c primary 1% used"]
    assert render_report(facts, CLOCK, Screen(True, 80))[0] == "x y�"


def test_an_answer_with_nothing_in_it_has_no_lines() -> None:
    """What is missing is left out, to the last line."""
    for limits, usage in (({}, None), ({"rateLimits": None}, {}), ({"rateLimitsByLimitId": {"x": None}}, None)):
        facts = read_facts(limits, usage, "2026-11-22")
        assert (render_plain(facts, CLOCK), render_report(facts, CLOCK, Screen(True, 80))) == ([], [])


NAMES = sorted({*LIMITS, *CODEX, *USAGE, *USAGE["summary"], "usedPercent", "windowDurationMins", "resetsAt"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=30,
)
WINDOWS = st.fixed_dictionaries(
    {"usedPercent": st.integers(-10, 1000) | JSON},
    optional={"windowDurationMins": st.integers() | JSON, "resetsAt": st.integers(0, 2**60) | JSON},
)
SNAPSHOTS = st.fixed_dictionaries(
    {},
    optional={
        "limitId": st.text(max_size=60),
        "limitName": st.text(max_size=60) | JSON,
        "primary": WINDOWS,
        "secondary": WINDOWS,
        "credits": JSON,
        "individualLimit": JSON,
        "rateLimitReachedType": st.text(max_size=60) | JSON,
    },
)
ANSWERS = st.fixed_dictionaries(
    {"rateLimits": SNAPSHOTS | JSON},
    optional={
        "rateLimitsByLimitId": st.dictionaries(st.text(max_size=5), SNAPSHOTS | JSON, max_size=3) | JSON,
        "rateLimitResetCredits": JSON,
    },
)
USAGES = st.none() | st.fixed_dictionaries({}, optional={"summary": JSON, "dailyUsageBuckets": JSON})


@given(ANSWERS, USAGES, st.integers(1, 130), st.booleans())
def test_no_line_is_wider_than_the_terminal(answer: Any, usage: Any, width: int, blocks: bool) -> None:
    """Whatever a daemon answers is shown as far as it is understood, in lines that do not wrap."""
    facts = read_facts(answer, usage, CLOCK.today())
    lines = render_report(facts, CLOCK, Screen(True, width, WITHOUT_COLOURS, blocks))
    assert [line for line in lines if count_columns(line) > width or not line.isprintable()] == []
    assert all(line.isprintable() for line in render_plain(facts, CLOCK))
