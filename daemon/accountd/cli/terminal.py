"""Writing for people: lines that nobody else's text can break, in the width and the colours that a terminal has.

Off a terminal there is neither.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

_USUAL_WIDTH = 80
_HANGING = "  "


def one_line(text: str) -> str:
    """Make text from elsewhere fit to be shown: one line, and no control characters for the terminal to obey."""
    return "".join(character if character.isprintable() else "�" for character in " ".join(text.split()))


def say(text: str = "") -> None:
    """Write a line to stdout, at once: whoever reads it through a pipe waits for it."""
    print(text, flush=True)  # noqa: T201  # stdout is what this command is for


def tell(text: str) -> None:
    """Write a sentence to stdout, for a person: on a terminal it is folded at words."""
    say("\n".join(fold(one_line(text), Screen.of(sys.stdout).width)))


def complain(text: str) -> None:
    """Write an error or a warning to stderr under the command's name: one line, or as many as a terminal needs."""
    write_error(f"accountd: {one_line(text)}")


def write_error(text: str) -> None:
    """Write a line to stderr; on a terminal it is folded, and what does not fit is indented below."""
    width = Screen.of(sys.stderr).width
    lines = [text] if count_columns(text) <= width else fold(text, max(1, width - len(_HANGING)))
    print(f"\n{_HANGING}".join(lines), file=sys.stderr, flush=True)  # noqa: T201  # as above


class Style(NamedTuple):
    """Emphasis, where `ansi` says that it is seen. The words alone must say the same."""

    ansi: bool = False

    def plain(self, text: str) -> str:
        """Leave it as it is."""
        return text

    def bold(self, text: str) -> str:
        """Make it stand out."""
        return self._render("1", text)

    def dim(self, text: str) -> str:
        """Make it step back."""
        return self._render("2", text)

    def red(self, text: str) -> str:
        """Colour what is over."""
        return self._render("31", text)

    def green(self, text: str) -> str:
        """Colour what is well."""
        return self._render("32", text)

    def yellow(self, text: str) -> str:
        """Colour what soon is not."""
        return self._render("33", text)

    def _render(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.ansi and text else text


class Screen(NamedTuple):
    """What a stream is good for. What is no terminal has no style, and lines of any length.

    `blocks` says whether its encoding has the characters that bars and pictures are made of.
    """

    is_terminal: bool = False
    width: int = sys.maxsize
    style: Style = Style()
    blocks: bool = False

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] = os.environ) -> Screen:
        """Look at a stream, as it is now: a window may be resized later."""
        if not stream.isatty():
            return cls()
        style = Style(obeys_escapes(environ) and not environ.get("NO_COLOR"))
        return cls(True, measure_terminal(stream, environ), style, _can_show("█▀▄░…", stream.encoding))


def fold(text: str, width: int) -> list[str]:
    """Break a text between its words into lines of so many columns.

    A `command with its arguments` is one word, which is not broken; and so a line may be wider after all.
    """
    if count_columns(text) <= width:
        return [text]
    lines = [""]
    whole = re.sub(r"`[^`]*`", lambda command: command[0].replace(" ", "\0"), text)
    for word in whole.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if not lines[-1] or count_columns(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line.replace("\0", " ") for line in lines]


def obeys_escapes(environ: Mapping[str, str]) -> bool:
    """Return True if the terminal of this environment understands more than text."""
    return environ.get("TERM", "") not in ("", "dumb")


def measure_terminal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> int:
    """Return the columns of the terminal as it is now; if it does not know, what COLUMNS says, or the usual."""
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        width = 0
    named = environ.get("COLUMNS", "")
    return width or (int(named) if named.isdecimal() and len(named) < 5 else 0) or _USUAL_WIDTH


def count_columns(text: str) -> int:
    """Return how wide a text is on a terminal, where East Asian characters take two columns, and accents none."""
    if text.isascii():
        return len(text)
    import unicodedata  # most text needs none of it

    return sum(
        2 if unicodedata.east_asian_width(c) in "WF" else unicodedata.category(c) not in ("Mn", "Me", "Cf")
        for c in text
    )


def clip(text: str, width: int) -> str:
    """Cut off what does not fit into so many columns, and say so with an ellipsis."""
    if count_columns(text) <= width:
        return text
    end, room = 0, width - len("…")
    while (room := room - count_columns(text[end])) >= 0:
        end += 1
    return f"{text[:end]}…" if width > 0 else ""


def _can_show(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def describe_duration(seconds: float) -> str:
    """Return how long something has taken, in the two largest units that it takes: `3 d 4 h`, `59 s`."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2) or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


class StatusLine:
    """The last line of a terminal, rewritten in place with plain blanks and returns, and never longer than a line.

    Only after the window has become narrower than what is shown there is more to it: terminals fold that.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._columns = 0
        """How far it reaches, with the blanks that were written over an earlier, longer text."""

    def show(self, *texts: str) -> None:
        """Put a text where the last one was: the first that leaves room for a `^C`, or what fits of the last."""
        width = measure_terminal(self._stream)
        room = width - len("^C") - 1
        text = next((text for text in texts if count_columns(text) <= room), clip(texts[-1], max(0, room)))
        self._write(text, width)

    def clear(self) -> None:
        """Take the text away, and the `^C` that a terminal may have put behind it."""
        if self._columns:
            self._write("", measure_terminal(self._stream), behind=len("^C"))
            self._stream.write("\r")
            self._stream.flush()
            self._columns = 0

    def _write(self, text: str, width: int, behind: int = 0) -> None:
        start = "\r"
        if rows := max(0, self._columns - 1) // width:
            # Of terminals that do not fold, a row above is lost: what is there had better be blank.
            start = f"\x1b[{rows}A\r\x1b[J" if obeys_escapes(os.environ) else "\n"
            self._columns = 0
        columns = count_columns(text)
        self._columns = max(columns, min(self._columns + behind, width))
        self._stream.write(start + text + " " * (self._columns - columns))
        self._stream.flush()
