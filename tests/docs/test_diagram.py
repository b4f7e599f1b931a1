"""The life of a login on its page is that of the table in `login/lifecycle.py`."""

from __future__ import annotations

import re

import pytest

from accountd.login.lifecycle import MOVES, State
from generators.diagram import PAGE, draw

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_diagram_is_that_of_the_moves() -> None:
    """What `make contrib` would write is there."""
    if draw(TEXT) != TEXT:
        pytest.fail("the moves of a login have changed, run `make contrib`")


def test_the_table_says_of_each_state_what_a_cancel_does() -> None:
    """It takes effect in those that have the move, and in no other."""
    rows = re.findall(
        r"(?m)^\| ([a-z, ]+) \| [^|]+ \| (.+) \|$", TEXT.partition("| State |")[2].partition("\n\n")[0]
    )
    told = {State(name): effect == "takes effect" for names, effect in rows for name in names.split(", ")}
    assert told == {state: State.CANCELLED in moves for state, moves in MOVES.items()}


def test_a_page_without_a_diagram_is_an_error() -> None:
    """Nothing is written to it then."""
    with pytest.raises(ValueError, match="has 0"):
        draw("# Logins\n")
