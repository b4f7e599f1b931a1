"""The completion script for bash, from version 3.2 (which macOS has), with and without the package bash-completion.

bash shows no descriptions, so there are no help texts in it. What it shows of ours is printed from quoted words:
`compgen -W` would expand them once more.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from generators.command import Command, Value

_SCRIPT = """\
# Completion of {prog} for bash. Made by `make contrib` from the parser of the command line.

{function}() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} at={start} gone=' ' flag='' expects='' paths='' word i
    local -a offered=()

    # Where the words so far lead. bash breaks them at = and :, so that `--format=raw` is three.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        if [[ $word == : ]]; then
            expects=$flag
            continue
        elif [[ $word == = ]]; then
            continue
        elif [[ $expects ]]; then
            expects=''
            continue
        fi
        flag=''
        case "$at $word" in
{gone}
            *' -'*) gone+="$word " ;;
        esac
        case "$at $word" in
            {verbs})
                at="$at $word" ;;
            {valued})
                flag=$word expects=$word ;;
        esac
    done
    [[ $cur == [=:] ]] && cur=''

    if [[ $expects ]]; then
        case "$at $expects" in
{values}
        esac
    else
        case $at in
{commands}
        esac
        # Options where one is begun, and where there is nothing else to type.
        if [[ $cur == -* || ${{#offered[@]}} -eq 0 ]]; then
            case $at in
{options}
            esac
        fi
    fi

    COMPREPLY=()
    for word in "${{offered[@]}}"; do
        if [[ $word == "$cur"* && $gone != *" $word "* ]]; then
            COMPREPLY+=("$(printf %q "$word")")
        fi
    done
    case $paths in
        # readline knows best of blanks, quotes and tildes in them; bash 3.2 has no way to ask it.
        file) compopt -o default 2>/dev/null || {function}_paths -f ;;
        folder) compopt -o dirnames 2>/dev/null || {function}_paths -d ;;
    esac
    return 0
}}

{function}_paths() {{
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen "$1" -- "$cur")
}}

complete -F {function} {prog}
"""


def render_bash(root: Command) -> str:
    """Write the script. The words so far lead to a command (`at`); a `case` for each thing to know looks it up."""
    commands = list(root.all())
    return _SCRIPT.format(
        prog=root.name,
        function=f"_{root.name}",
        start=quote(root.name),
        gone=_indent(_gone(commands), 12),
        verbs=_alternatives(command.name for command in commands[1:]),
        valued=_alternatives(
            f"{command.name} {flag}"
            for command in commands
            for option in command.options
            if option.value
            for flag in option.flags
        ),
        values=_indent(_values(commands), 12),
        commands=_indent(_arguments(commands), 12),
        options=_indent(_options(commands), 16),
    )


def _gone(commands: list[Command]) -> Iterator[str]:
    """Say what an option takes away, where that is not just itself."""
    for command in commands:
        taken = {
            flag: tuple(other for option in command.options if flag in option.excluded_by for other in option.flags)
            for option in command.options
            for flag in option.flags
        }
        for gone in dict.fromkeys(taken.values()):
            flags = [flag for flag in taken if taken[flag] == gone]
            if tuple(flags) != gone or len(flags) > 1:
                step = f"gone+={quote(' '.join(gone) + ' ')}" if gone else ""
                yield f"{_cases(command, flags)}) {step} ;;"


def _values(commands: list[Command]) -> Iterator[str]:
    for command in commands:
        for option in command.options:
            if option.value and (offer := _offer(option.value)):
                yield f"{_cases(command, option.flags)}) {offer} ;;"


def _arguments(commands: list[Command]) -> Iterator[str]:
    for command in commands:
        steps = [offer for argument in command.arguments if (offer := _offer(argument.value))]
        if command.commands:
            steps = [_words(verb.path[-1] for verb in command.commands)]
        if steps:
            yield f"{quote(command.name)}) {'; '.join(steps)} ;;"


def _options(commands: list[Command]) -> Iterator[str]:
    for command in commands:
        shown = (
            flag
            for option in command.options
            for flag in [flag for flag in option.flags if flag.startswith("--")] or option.flags
        )
        yield f"{quote(command.name)}) {_words(shown)} ;;"


def _offer(value: Value) -> str:
    return f"paths={value.path}" if value.path else _words(value.choices) if value.choices else ""


def _words(words: Iterable[str]) -> str:
    return f"offered+=({' '.join(map(quote, words))})"


def _cases(command: Command, flags: Iterable[str]) -> str:
    return " | ".join(quote(f"{command.name} {flag}") for flag in flags)


def _alternatives(patterns: Iterable[str]) -> str:
    return " | \\\n            ".join(map(quote, patterns))


def _indent(lines: Iterator[str], width: int) -> str:
    return "\n".join(" " * width + line for line in lines)
