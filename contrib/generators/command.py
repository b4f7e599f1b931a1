"""The command line as plain values: commands with their options and arguments, read from an argparse parser.

argparse has no public way to ask a parser what it takes. Its private one is used here and nowhere else.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATHS: dict[str, Literal["file", "folder"]] = {
    "PATH": "file",
    "FILE": "file",
    "DIR": "folder",
    "FOLDER": "folder",
}
"""What a metavar says of its value: the command line calls a path by one of these names, and nothing else so."""


@dataclass(frozen=True)
class Value:
    """What stands behind an option, or is an argument of its own."""

    name: str
    choices: tuple[str, ...]
    path: Literal["file", "folder"] | None


@dataclass(frozen=True)
class Option:
    """An option that is shown. `excluded_by` has every flag after which it makes no sense, mostly its own too."""

    flags: tuple[str, ...]
    help: str
    value: Value | None
    excluded_by: tuple[str, ...]
    required: bool


@dataclass(frozen=True)
class Argument:
    """A positional argument that is shown."""

    value: Value
    help: str
    optional: bool
    repeated: bool


@dataclass(frozen=True)
class Group:
    """Options under a title of their own; the title of the usual ones is empty."""

    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Command:
    """The whole command, or one of its verbs. `path` is how it is called: `("accountd", "login")`."""

    path: tuple[str, ...]
    help: str
    description: str
    epilog: str
    groups: tuple[Group, ...]
    arguments: tuple[Argument, ...]
    commands: tuple[Command, ...]

    @property
    def name(self) -> str:
        """What a person types, `accountd login`."""
        return " ".join(self.path)

    @property
    def options(self) -> tuple[Option, ...]:
        """The options of all groups."""
        return tuple(option for group in self.groups for option in group.options)

    def all(self) -> Iterator[Command]:
        """Give this command, and those below it."""
        yield self
        for command in self.commands:
            yield from command.all()


def read_command(parser: argparse.ArgumentParser, path: tuple[str, ...] = (), help_text: str = "") -> Command:
    """Read a parser and the parsers of its verbs. What argparse.SUPPRESS hides is left out."""
    path = path or (parser.prog,)
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    verbs = next((action for action in shown if isinstance(action, argparse._SubParsersAction)), None)
    return Command(
        path=path,
        help=help_text or _plain(parser.description),
        description=_plain(parser.description),
        epilog=parser.epilog or "",
        groups=tuple(_groups(parser)),
        arguments=tuple(
            _argument(parser, action) for action in shown if not action.option_strings and action is not verbs
        ),
        commands=tuple(_commands(parser, verbs, path)) if verbs else (),
    )


def _commands(
    parser: argparse.ArgumentParser, verbs: argparse._SubParsersAction[Any], path: tuple[str, ...]
) -> Iterator[Command]:
    for verb in verbs._choices_actions:
        if verb.help != argparse.SUPPRESS:
            yield read_command(verbs.choices[verb.dest], (*path, verb.dest), _help(parser, verb))


def _groups(parser: argparse.ArgumentParser) -> Iterator[Group]:
    for group in parser._action_groups:
        options = tuple(
            _option(parser, action)
            for action in group._group_actions
            if action.option_strings and action.help != argparse.SUPPRESS
        )
        if options:
            yield Group("" if group is parser._optionals else group.title or "", options)


def _option(parser: argparse.ArgumentParser, action: argparse.Action) -> Option:
    repeatable = isinstance(action, argparse._AppendAction | argparse._CountAction)
    exclusive = [
        flag
        for group in parser._mutually_exclusive_groups
        if action in group._group_actions
        for other in group._group_actions
        if other is not action and other.help != argparse.SUPPRESS
        for flag in other.option_strings
    ]
    return Option(
        flags=tuple(action.option_strings),
        help=_help(parser, action),
        value=None if action.nargs == 0 else _value(action),
        excluded_by=(*(() if repeatable else action.option_strings), *exclusive),
        required=action.required,
    )


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> Argument:
    optional, repeated = action.nargs in ("?", "*"), action.nargs in ("*", "+", argparse.REMAINDER)
    return Argument(_value(action), _help(parser, action), optional, repeated)


def _value(action: argparse.Action) -> Value:
    default = action.dest.upper().replace("_", "-")
    name = action.metavar if isinstance(action.metavar, str) else default
    return Value(name, tuple(map(str, action.choices or ())), _PATHS.get(name))


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Fill in `%(default)s` and the like, as --help does."""
    return _plain(parser._get_formatter()._expand_help(action)) if action.help else ""


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())
