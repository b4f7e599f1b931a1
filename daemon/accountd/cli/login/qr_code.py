"""An address as a picture that a phone can scan, in the characters of a terminal: two modules above each other.

The modules of a QR code are dark on light. With colours that is what is painted, black on white, whatever the
terminal's own colours are. Without, the light ones are drawn, as blocks: right where the background is dark, and
elsewhere a negative, which not every reader takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accountd.cli.terminal import Screen

_BORDER = 2
"""Light modules around it. The standard wants four; two are enough for readers, and leave room for the text."""
_BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"
"""By number in the palette that themes leave alone."""
_RESET = "\x1b[0m"
_HALVES = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
"""The character whose upper and lower halves are drawn, or not."""


def draw_address(address: str, screen: Screen) -> list[str] | str:
    """Return the lines of the picture, or why there is none, as a part of a sentence."""
    if not screen.is_terminal:
        return "stdout is no terminal"
    if not screen.blocks:
        return "this terminal cannot show block characters"
    import segno  # its import takes as long as a verb

    try:
        matrix = segno.make(address, error="l", micro=False).matrix
    except ValueError:  # of which segno's DataOverflowError is one
        return "the address is too long for one"
    lines = render_matrix(matrix, colour=screen.style.ansi)
    width = len(matrix) + 2 * _BORDER
    return lines if width <= screen.width else f"it needs {width} columns, and this terminal has {screen.width}"


def render_matrix(matrix: Sequence[Sequence[int]], *, colour: bool) -> list[str]:
    """Draw rows of modules, of which 1 is dark, with a light border."""
    side = (False,) * _BORDER
    rows = [(*side, *map(bool, row), *side) for row in matrix]
    light = (False,) * len(rows[0])
    # The size of a QR code is odd: below it there is one row more, to make it even.
    rows = [light] * _BORDER + rows + [light] * (_BORDER + 1)
    lines = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        line = "".join(_HALVES[top == colour, bottom == colour] for top, bottom in zip(upper, lower, strict=True))
        lines.append(f"{_BLACK_ON_WHITE}{line}{_RESET}" if colour else line)
    return lines
