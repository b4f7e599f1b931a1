"""An address as a picture in a terminal: read back from its characters, and left out where it would be broken."""

from __future__ import annotations

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from accountd.cli.login.qr_code import draw_address, render_matrix
from accountd.cli.terminal import Screen, Style

PAGE = "https://auth.openai.com/codex/device"
DRAWN = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"


def see(lines: list[str], *, colour: bool) -> list[list[int]]:
    """Read a picture: a row of modules for the upper and the lower half of each line; 1 is dark."""
    rows: list[list[int]] = []
    for line in lines:
        text = line
        if colour:
            assert (line[: len(BLACK_ON_WHITE)], line[-4:]) == (BLACK_ON_WHITE, "\x1b[0m")
            text = line[len(BLACK_ON_WHITE) : -4]
        halves = [DRAWN[character] for character in text]
        # In colours black is drawn on white; without, what is drawn shines.
        rows += [[half[side] if colour else 1 - half[side] for half in halves] for side in (0, 1)]
    return rows


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("address", [PAGE, "http://127.0.0.1:45678/codex/device", "https://a.example"])
def test_the_picture_is_the_code(address: str, colour: bool) -> None:
    """What is seen is the QR code of the address, with two light modules around it, within 40 columns."""
    lines = draw_address(address, Screen(True, 40, Style(colour), blocks=True))
    assert isinstance(lines, list)
    rows = see(lines, colour=colour)
    matrix = [list(row) for row in segno.make_qr(address, error="l").matrix]
    size = len(matrix)
    assert [row[2:-2] for row in rows[2 : size + 2]] == matrix
    border = [*rows[:2], *rows[size + 2 :], *(row[:2] + row[-2:] for row in rows)]
    assert not any(any(part) for part in border)
    assert (len(rows[0]), len(rows)) == (size + 4, size + 5)
    assert len(rows[0]) <= 40


@given(
    st.integers(0, 10)
    .map(lambda n: 2 * n + 1)
    .flatmap(
        lambda size: st.lists(
            st.lists(st.integers(0, 1), min_size=size, max_size=size), min_size=size, max_size=size
        )
    ),
    st.booleans(),
)
def test_every_module_is_seen(matrix: list[list[int]], colour: bool) -> None:
    """Dark is dark and light is light, whatever stands beside it."""
    rows = see(render_matrix(matrix, colour=colour), colour=colour)
    assert [row[2:-2] for row in rows[2:-3]] == matrix


@pytest.mark.parametrize(
    ("screen", "address", "reason"),
    [
        (Screen(), PAGE, "stdout is no terminal"),
        (Screen(True, 32, blocks=True), PAGE, "it needs 33 columns, and this terminal has 32"),
        (Screen(True, 80, blocks=False), PAGE, "this terminal cannot show block characters"),
        (Screen(True, 80, blocks=True), f"{PAGE}{'x' * 3000}", "the address is too long for one"),
    ],
)
def test_a_picture_that_would_be_broken_is_left_out(screen: Screen, address: str, reason: str) -> None:
    """There is a reason instead: no part of a code can be scanned."""
    assert draw_address(address, screen) == reason
