"""Writing for people: lines that nobody else's text can break, and one line that is rewritten in place."""

from __future__ import annotations

import sys


def one_line(text: str) -> str:
    """Make text from elsewhere fit to be shown: one line, and no control characters for the terminal to obey."""
    return "".join(character if character.isprintable() else "�" for character in " ".join(text.split()))


def say(text: str = "") -> None:
    """Write a line to stdout, at once: whoever reads it through a pipe waits for it."""
    print(text, flush=True)  # noqa: T201  # stdout is what this command is for


def complain(text: str) -> None:
    """Write an error or a warning to stderr, as one line under the command's name."""
    print(f"accountd: {one_line(text)}", file=sys.stderr, flush=True)  # noqa: T201  # as above


class StatusLine:
    """The last line of a terminal, rewritten in place. Plain blanks and returns: any terminal understands them."""

    def __init__(self) -> None:
        self._width = 0

    def show(self, text: str) -> None:
        """Put this text where the last one was."""
        sys.stdout.write("\r" + text.ljust(self._width))
        sys.stdout.flush()
        self._width = len(text)

    def clear(self) -> None:
        """Take the text away, and the `^C` that a terminal may have put behind it."""
        if self._width:
            self.show(" " * (self._width + len("^C")))
            sys.stdout.write("\r")
            sys.stdout.flush()
            self._width = 0
