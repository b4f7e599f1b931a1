"""What the benchmark says of its figures: turns, ratios, goals, and the table; from figures that are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.figures import Quantity, Row, Spread, spread
from bench.goals import GOALS, judge, judge_all
from bench.latency import P50
from bench.report import BEGIN, END, number, render, replace
from bench.rounds import Contender, Results, measure, take_turns
from bench.throughput import RATES

if TYPE_CHECKING:
    from pathlib import Path

RATE = Quantity("answers", "/s", more_is_better=True)
LATENCY, THROUGHPUT = GOALS[:2]


def row(quantity: Quantity, ours: list[float], peer: list[float]) -> Row:
    """Give a row of two servers."""
    return Row(quantity, "ws", {"ours": ours, "peer": peer})


def test_each_round_begins_with_another() -> None:
    """Nobody is always first, and nobody always comes after the same one."""
    assert list(take_turns("abc", 4)) == list("abcacbcabcba")[:3] + list("acb") + list("cab") + list("cba")


def test_a_spread_is_the_quartiles() -> None:
    """The median and what half of the figures lie between; one figure is all three."""
    assert spread([5, 1, 2, 4, 3]) == Spread(2, 3, 4)
    assert spread([7]) == Spread(7, 7, 7)


def test_a_ratio_is_of_each_round_first() -> None:
    """A machine that becomes slower in the middle changes both figures of a pair, and not their ratio."""
    assert row(P50, [10, 30, 40], [100, 300, 400]).ratio("peer") == Spread(0.1, 0.1, 0.1)
    # The ratio of the medians would be 1.
    assert row(P50, [1, 20, 30], [10, 20, 60]).ratio("peer") == Spread(0.3, 0.5, 0.75)


def test_what_is_nothing_has_no_ratio() -> None:
    """Nothing is divided by nothing; but who needs something where the peer needs nothing is behind."""
    idle = row(Quantity("wake-ups", ""), [3.0], [0.0])
    assert idle.ratio("peer") is None
    assert idle.is_behind()
    assert not row(Quantity("wake-ups", ""), [0.0], [3.0]).is_behind()
    assert not Row(P50, "ws", {"ours": [1.0]}).is_behind()


@pytest.mark.parametrize(("quantity", "behind"), [(P50, True), (RATE, False)])
def test_more_may_be_better(quantity: Quantity, behind: bool) -> None:
    """A longer time is behind, a higher rate is not; and the same is neither."""
    assert row(quantity, [2.0], [1.0]).is_behind() is behind
    assert row(quantity, [1.0], [2.0]).is_behind() is not behind
    assert not row(quantity, [1.0], [1.0]).is_behind()


def test_a_goal_is_judged_by_its_median_and_says_in_how_many_rounds() -> None:
    """A goal that is met in most rounds is met, and the reader is told that it was not in one."""
    met = judge(LATENCY, [row(P50, [10, 11, 13], [100, 100, 100])])
    assert met == "Latency at most 0.12 of the peer's: **met**, 0.11, within it in 2 of 3 rounds."
    missed = judge(LATENCY, [row(P50, [13], [100])])
    assert missed == "Latency at most 0.12 of the peer's: **not met**, 0.13, within it in 0 of 1 rounds."
    assert judge(LATENCY, [Row(P50, "ws", {"ours": [10]})]) is None


def test_a_goal_of_several_rows_is_judged_by_the_worst() -> None:
    """Thirty times as many requests of one client do not make up for ten times as many of 64."""
    rows = [row(RATES[1], [30], [1]), row(RATES[64], [10], [1])]
    assert "**not met**, 10, within it in 0 of 1 rounds" in str(judge(THROUGHPUT, rows))
    rows = [row(RATES[1], [30], [1]), row(RATES[64], [15], [1])]
    assert "**met**, 15, within it in 1 of 1 rounds" in str(judge(THROUGHPUT, rows))


def test_where_the_peer_is_ahead_is_said() -> None:
    """The last sentence names every row in which the peer does better, or says that there is none."""
    ahead = row(P50, [1], [10])
    assert judge_all([ahead])[-1] == "Where accountd is behind: nowhere that is measured here."
    behind = judge_all([ahead, row(RATE, [1], [2]), row(Quantity("wake-ups", ""), [1], [0])])[-1]
    assert (
        behind == "Where accountd is behind: answers, WebSocket (0.50 times); wake-ups, WebSocket (from nothing)."
    )
    alone = judge_all([Row(P50, "ws", {"ours": [1], "floor": [1]})])
    assert alone == ["No other server was measured beside it, so nothing is said of the goals."]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.09678, "0.097"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (33456.7, "33 457")],
)
def test_a_number_has_three_digits_that_count(value: float, text: str) -> None:
    """No more, but all that stand before the point."""
    assert number(value) == text


def test_the_table_is_written_between_its_markers(tmp_path: Path) -> None:
    """What people wrote around it stays; a document without the markers is not touched."""
    results = Results()
    figures = {"ours": 10.0, "peer": 100.0, "floor": 8.0}
    everybody = [Contender("ours", "ws", ""), Contender("peer", "ws", ""), Contender("floor", "ws", "")]
    measure(results, everybody, 2, lambda who: {P50: figures[who.role]})
    results.add("ours", "ndjson", {P50: 7.0})
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        replace(document, render("On this machine.", results.rows()))
    text = document.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\nOn this machine.\n\n| |")
    assert text.endswith(f"{END}\nafter\n")
    assert "| `account/read`, p50, WebSocket | 10.0 µs | 100 µs | 0.100 | 8.00 µs | 1.25 |\n" in text
    assert "| `account/read`, p50, lines | 7.00 µs | — | — | — | — |\n" in text
    assert "old" not in text
    document.write_text("nothing here")
    with pytest.raises(ValueError, match=r"performance\.md lacks the markers"):
        replace(document, "x")
    assert document.read_text() == "nothing here"
