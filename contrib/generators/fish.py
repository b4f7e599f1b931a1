"""The completion script for fish, from version 3.0: a line for each thing to offer, with the condition for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from generators.command import Command, Value

_SCRIPT = """\
# Completion of {prog} for fish. Made by `make contrib` from the parser of the command line.

# True where the words so far lead to the command $argv[1], and none of the options behind it is among them.
function __{prog}_at
    set -l words (commandline -opc)
    set -e words[1]
    set -l at {start}
    set -l given
    set -l is_value 0
    for word in $words
        if test $is_value -eq 1
            set is_value 0
            continue
        end
        set -a given (string replace -r '=.*' '' -- $word)
        switch "$at $word"
            case \\
                {commands}
                set at "$at $word"
            case \\
                {valued}
                set is_value 1
        end
    end
    if test $is_value -eq 1
        set -e given[-1] # which is being completed
    end
    for option in $argv[2..-1]
        contains -- $option $given; and return 1
    end
    test "$at" = $argv[1]
end

complete -c {prog} -f
{lines}
"""


def render_fish(root: Command) -> str:
    """Write the script."""
    commands = list(root.all())
    return _SCRIPT.format(
        prog=root.name,
        start=_quote(root.name),
        commands=_alternatives(command.name for command in commands[1:]),
        valued=_alternatives(
            f"{command.name} {flag}"
            for command in commands
            for option in command.options
            if option.value
            for flag in option.flags
        ),
        lines="\n".join(line for command in commands for line in _lines(command, root.name)),
    )


def _lines(command: Command, prog: str) -> Iterator[str]:
    yield f"\n# {command.name}"
    for verb in command.commands:
        yield _complete(prog, command, (), f"-a {_quote(_quote(verb.path[-1]))}", verb.help)
    for argument in command.arguments:
        if offer := _offer(argument.value):
            yield _complete(prog, command, (), offer, argument.help)
    for option in command.options:
        flags = " ".join(f"{'-l' if flag.startswith('--') else '-s'} {flag.lstrip('-')}" for flag in option.flags)
        value = f" -r {_offer(option.value) or '-f'}" if option.value else ""
        yield _complete(prog, command, option.excluded_by, flags + value, option.help)


def _complete(prog: str, command: Command, excluded_by: Iterable[str], what: str, help_text: str) -> str:
    condition = " ".join([f"__{prog}_at", _quote(command.name), *excluded_by])
    return f"complete -c {prog} -n {_quote(condition)} {what} -d {_quote(help_text)}"


def _offer(value: Value) -> str:
    """Write what is offered. fish expands what stands behind -a when it is asked for: it is quoted twice."""
    if value.path:
        return "-F" if value.path == "file" else "-f -a '(__fish_complete_directories)'"
    return f"-f -a {_quote(' '.join(map(_quote, value.choices)))}" if value.choices else ""


def _alternatives(words: Iterable[str]) -> str:
    return " \\\n                ".join(map(_quote, words))


def _quote(text: str) -> str:
    """Quote for fish where it must be, where a backslash in single quotes escapes a quote and itself."""
    if re.fullmatch(r"[\w/-]+", text, re.ASCII):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
