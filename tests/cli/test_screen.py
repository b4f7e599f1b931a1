"""What a stream is good for, and text that is fitted into it."""

from __future__ import annotations

import io
import os
import pty
import termios
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.cli.terminal import (
    Screen,
    StatusLine,
    Style,
    clip,
    count_columns,
    describe_duration,
    fold,
    measure_terminal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

XTERM = {"TERM": "xterm"}
_MARK = b"\0"
"""Is shown by no terminal."""


class Window:
    """A terminal of some width, and the stream that leads to it."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self._master, slave = pty.openpty()
        self.stream = open(slave, "w", encoding=encoding)  # noqa: PTH123, SIM115  # a descriptor, closed below

    def resize(self, columns: int) -> None:
        """Make it so wide; 0 is what a terminal says that does not know."""
        termios.tcsetwinsize(self._master, (24, columns))

    def close(self) -> None:
        """Close both ends."""
        self.stream.close()
        os.close(self._master)


@pytest.fixture
def window() -> Iterator[Window]:
    """Give a terminal of 40 columns."""
    opened = Window()
    opened.resize(40)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("environ", "ansi"),
    [
        (XTERM, True),
        ({**XTERM, "NO_COLOR": ""}, True),
        ({**XTERM, "NO_COLOR": "0"}, False),
        ({**XTERM, "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
        ({}, False),
    ],
)
def test_emphasis_is_for_terminals_that_want_it(window: Window, environ: dict[str, str], ansi: bool) -> None:
    """There is none with NO_COLOR set to anything, and on a terminal that understands no escapes."""
    assert Screen.of(window.stream, environ) == Screen(True, 40, Style(ansi), blocks=True)


def test_what_is_no_terminal_has_no_style_and_no_width() -> None:
    """A pipe or a file gets the text as it is, in lines of any length."""
    screen = Screen.of(io.StringIO(), XTERM)
    assert (screen.is_terminal, screen.style.bold("x"), screen.blocks) == (False, "x", False)
    assert fold("x " * 5000, screen.width) == ["x " * 4999 + "x "]


def test_an_encoding_without_blocks_is_known() -> None:
    """What stdout's encoding cannot show is not drawn with."""
    window = Window("latin-1")
    assert not Screen.of(window.stream, XTERM).blocks
    window.close()


@pytest.mark.parametrize(
    ("columns", "named", "width"),
    [(40, "99", 40), (0, "99", 99), (0, "", 80), (0, "0", 80), (0, "-1", 80), (0, "wide", 80), (0, "9" * 9, 80)],
)
def test_the_width_of_a_terminal(window: Window, columns: int, named: str, width: int) -> None:
    """It is the terminal's own; COLUMNS is asked where the terminal does not know, and 80 is the usual."""
    window.resize(columns)
    assert measure_terminal(window.stream, {"COLUMNS": named}) == width


def test_every_style_ends_where_it_began() -> None:
    """Each is its own sequence around the text; what is empty stays empty."""
    style = Style(ansi=True)
    styled = [paint("x") for paint in (style.bold, style.dim, style.red, style.green, style.yellow)]
    assert styled == [f"\x1b[{code}mx\x1b[0m" for code in (1, 2, 31, 32, 33)]
    assert style.bold("") == ""


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("é", 1), ("e\u0301", 1), ("漢字", 4), ("한", 2), ("●█░·…", 5), ("", 0)]
)
def test_columns_are_counted_as_terminals_do(text: str, columns: int) -> None:
    """East Asian characters take two columns, and accents of their own none."""
    assert count_columns(text) == columns


TEXTS = st.text(st.sampled_from("ab cé漢字 \u0301"), max_size=60)


@given(TEXTS, st.integers(0, 70))
def test_what_is_clipped_fits(text: str, width: int) -> None:
    """A text is no wider than it may be; one that fits is left alone, and one that does not ends in an ellipsis."""
    clipped = clip(text, width)
    assert count_columns(clipped) <= width
    assert clipped == text or not clipped or clipped.endswith("…")
    assert (clipped == text) is (count_columns(text) <= width)


@given(TEXTS, st.integers(1, 70))
def test_what_is_folded_fits_and_loses_nothing(text: str, width: int) -> None:
    """Only a line of a single word may be wider; and all words are there, in their order."""
    lines = fold(text, width)
    assert " ".join(lines).split() == text.split()
    assert all(count_columns(line) <= width or " " not in line.strip(" ") for line in lines)


def test_a_command_is_not_folded() -> None:
    """What is between backticks is to be read, and copied, in one piece."""
    assert fold("Log in with `accountd login`.", 24) == ["Log in with", "`accountd login`."]
    assert fold("a `b c", 4) == ["a `b", "c"]


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch, window: Window) -> StatusLine:
    """Give a status line on the window, which understands escapes."""
    monkeypatch.setenv("TERM", "xterm")
    return StatusLine(window.stream)


def read(window: Window) -> str:
    """Take what was written to a window, in however many pieces it comes: a mark behind it comes last."""
    written = b""
    os.write(window.stream.fileno(), _MARK)
    while not written.endswith(_MARK):
        written += os.read(window._master, 65536)
    return written.removesuffix(_MARK).decode()


def test_the_status_line_takes_the_first_text_that_fits(window: Window, line: StatusLine) -> None:
    """There is room for a `^C` behind it; of the last text what fits is shown; and nothing shines through."""
    texts = "x" * 38, "y" * 37, "z" * 10
    line.show(*texts)
    assert read(window) == "\r" + "y" * 37
    window.resize(39)
    line.show(*texts)
    assert read(window) == "\r" + "z" * 10 + " " * 27
    window.resize(80)
    line.show(*texts)
    assert read(window) == "\r" + "x" * 38


def test_the_status_line_is_cleared_with_what_was_typed_behind_it(window: Window, line: StatusLine) -> None:
    """Blanks go over it and a `^C`; and what is not there is not cleared."""
    line.clear()
    line.show("漢字")
    line.clear()
    line.clear()
    assert read(window) == "\r漢字\r" + " " * 6 + "\r"


@pytest.mark.parametrize(("columns", "rows"), [(37, 0), (36, 1), (20, 1), (18, 2)])
def test_a_status_line_that_was_folded_is_taken_away_whole(
    window: Window, line: StatusLine, columns: int, rows: int
) -> None:
    """A window that became narrower than the text has folded it: the line begins so many rows further up."""
    line.show("y" * 37)
    window.resize(columns)
    read(window)
    line.show("z")
    assert read(window) == (f"\x1b[{rows}A\r\x1b[Jz" if rows else "\rz" + " " * 36)
    line.show("w")
    assert read(window).startswith("\rw")


def test_clearing_does_not_wrap_either(window: Window, line: StatusLine) -> None:
    """In a window that has just become as narrow as the text, the blanks end with the line."""
    line.show("y" * 37)
    window.resize(38)
    read(window)
    line.clear()
    assert read(window) == "\r" + " " * 38 + "\r"


def test_a_terminal_without_escapes_begins_a_new_line(
    window: Window, line: StatusLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the cursor cannot be moved up, what was folded stays."""
    monkeypatch.setenv("TERM", "dumb")
    line.show("y" * 37)
    window.resize(20)
    read(window)
    line.show("z")
    assert read(window) == "\r\nz"


def test_the_narrowest_window_is_no_failure(window: Window, line: StatusLine) -> None:
    """Where nothing fits, nothing is shown."""
    for columns in (1, 2, 3, 4):
        window.resize(columns)
        line.show("word")
    line.clear()
    assert "w" not in read(window).replace("…", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (7384.5, "2 h 3 min"), (86_400, "1 d 0 h"), (1e6, "11 d 13 h")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    """Nobody wants the seconds of a day; and what has just begun is not nothing."""
    assert describe_duration(seconds) == text
