"""argparse as this command uses it: complaints that say what was meant, and how the verb is used.

A value is not repeated, since one could be somebody's key; what looks like a verb or an option is.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from accountd.cli.exits import USAGE
from accountd.cli.terminal import Screen, fold, one_line, write_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Subparsers: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  # it has no public name
"""What a verb is registered with."""

_WORD = re.compile(r"[a-z][a-z-]{0,23}")
"""What may be repeated: nobody's key looks so."""

_REWORDED = {
    r"^argument (\S+?): ": r"\1: ",
    r"ignored explicit argument .*": "takes no value",
    r"invalid int value: .*": "must be a whole number",
    r"=\S+": "=…",
}
"""What argparse says, and what is said instead: its words repeat values."""

_WIDTH = 78


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """A formatter that looks at the terminal itself: for that, argparse imports as much as a verb needs.

    Its texts are written for 78 columns. Where there are fewer, paragraphs are folded anew; what is indented, a
    table or a command to copy, keeps its lines.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(_WIDTH, Screen.of(sys.stdout).width - 2))

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        """Name a command that is handed on, of which argparse shows three dots."""
        if action.nargs == argparse.REMAINDER:
            return f"[{action.metavar} ...]"
        return super()._format_args(action, default_metavar)

    def add_argument(self, action: argparse.Action) -> None:
        """Count the indent of verbs, which argparse forgets: the longest would not fit its column."""
        super().add_argument(action)
        for verb in self._iter_indented_subactions(action):
            width = self._current_indent + len(self._format_action_invocation(verb))
            self._action_max_length = max(self._action_max_length, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if self._width < _WIDTH:
            text = re.sub(r"(?m)^\S.*(?:\n\S.*)*", lambda found: self._fold(found[0]), text)
        return super()._fill_text(text, width, indent)

    def _fold(self, paragraph: str) -> str:
        return "\n".join(fold(paragraph.replace("\n", " "), self._width))


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that keeps the lines of its epilog, and complains in few."""

    def __init__(self, **options: str | None) -> None:
        super().__init__(**options, formatter_class=_HelpFormatter)  # type: ignore[arg-type]  # all are texts
        self.verbs: Mapping[str, Parser] = {}
        """The parser of each verb that was added."""

    def add_verbs(self) -> Subparsers:
        """Return what verbs are registered with."""
        subparsers = self.add_subparsers(title="verbs", dest="verb", metavar="VERB", prog=self.prog)
        self.verbs = subparsers.choices
        return subparsers

    def refuse(self, words: list[str]) -> NoReturn:
        """Exit with 2, for words that mean nothing to it."""
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not options:
            self.error("it takes no more words than these")
        if not _WORD.fullmatch(options[0].lstrip("-")):
            self.error("it has no such option")
        self.error(f"it has no option {options[0]}{_suggest(options[0], self._option_string_actions)}")

    def error(self, message: str) -> NoReturn:
        """Exit with 2. Called by argparse, whose message repeats values."""
        for pattern, words in _REWORDED.items():
            message = re.sub(pattern, words, message)
        verb = self.prog.partition(" ")[2].partition(" ")[0]
        write_error(f"{self.prog}: {one_line(message)}")
        if verb:
            self.print_usage(sys.stderr)
        write_error(f"`accountd help {verb}` explains it." if verb else "`accountd help` lists the verbs.")
        sys.exit(USAGE)

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        if action.metavar != "VERB":
            raise argparse.ArgumentError(action, f"must be one of {', '.join(known)}")
        name = value if _WORD.fullmatch(value) else "that"
        raise argparse.ArgumentError(None, f"{name} is no verb{_suggest(value, known)}")


def _suggest(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # for errors alone

    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
