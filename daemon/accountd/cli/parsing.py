"""argparse as this command uses it: complaints of one line, and a name for the type that it keeps to itself."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn, TypeAlias

from accountd.cli.exits import USAGE
from accountd.cli.terminal import one_line

Subparsers: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  # it has no public name
"""What a verb is registered with."""


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """A formatter of a fixed width: to ask for the terminal's, argparse imports as much as a verb needs."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=78)

    def add_argument(self, action: argparse.Action) -> None:
        """Count the indent of verbs, which argparse forgets: the longest would not fit its column."""
        super().add_argument(action)
        for verb in self._iter_indented_subactions(action):
            width = self._current_indent + len(self._format_action_invocation(verb))
            self._action_max_length = max(self._action_max_length, width)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that keeps the lines of its epilog, and says what is wrong in one."""

    def __init__(self, **options: str | None) -> None:
        super().__init__(**options, formatter_class=_HelpFormatter)  # type: ignore[arg-type]  # all are texts

    def error(self, message: str) -> NoReturn:
        """Exit with 2. Called by argparse, whose message repeats values; and one could be somebody's key."""
        message = re.sub(r"ignored explicit argument .*", "takes no value", one_line(message))
        message = re.sub(r"=\S+", "=…", message)
        self.exit(USAGE, f"{self.prog}: {message}; see `{self.prog} --help`\n")
