"""The completion script for zsh: one function for each command, each a call of `_arguments`.

A text goes through up to three hands on its way to the screen, and is escaped for the last one first: `_arguments`
or `_describe`, which part their words at colons and brackets; then the shell, as a quoted word.
"""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from generators.command import Argument, Command, Option, Value

_SCRIPT = """\
#compdef {prog}
# Completion of {prog} for zsh. Made by `make contrib` from the parser of the command line.

{functions}

# Autoloaded from $fpath, this file is the function; sourced, it only defines it.
if [[ $funcstack[1] == _{prog} ]]; then
    _{prog} "$@"
else
    compdef _{prog} {prog}
fi
"""

_VERB = """\
{function}() {{
    _arguments -s{specs}
}}"""

_COMMAND_OF_VERBS = """\
{function}() {{
    local curcontext=$curcontext state line ret=1
    local -A opt_args
    local -a verbs
    _arguments -C -s{specs} \\
        '1: :->verb' \\
        '*:: :->rest' && ret=0
    case $state in
        verb)
            verbs=(
{descriptions}
            )
            _describe -t verbs verb verbs && ret=0
            ;;
        rest)
            case $line[1] in
{verbs}
            esac
            ;;
    esac
    return ret
}}"""


def render_zsh(root: Command) -> str:
    """Write the script."""
    functions = "\n\n".join(map(_function, reversed(list(root.all()))))
    return _SCRIPT.format(prog=root.name, functions=functions)


def _function(command: Command) -> str:
    specs = "".join(f" \\\n        {spec}" for spec in _specs(command))
    if not command.commands:
        return _VERB.format(function=_name(command), specs=specs)
    return _COMMAND_OF_VERBS.format(
        function=_name(command),
        specs=specs,
        descriptions="\n".join(f"{' ' * 16}{_description(verb)}" for verb in command.commands),
        verbs="\n".join(
            f"{' ' * 16}{quote(verb.path[-1])}) {_name(verb)} && ret=0 ;;" for verb in command.commands
        ),
    )


def _name(command: Command) -> str:
    return "".join(f"_{word}" for word in command.path)


def _description(verb: Command) -> str:
    return quote(f"{_escape(verb.path[-1], ':')}:{_escape(verb.help, ':')}")


def _specs(command: Command) -> Iterator[str]:
    for option in command.options:
        for flag in option.flags:
            yield quote(_option(option, flag))
    for argument in command.arguments:
        yield quote(_argument(argument))


def _option(option: Option, flag: str) -> str:
    repeatable = flag not in option.excluded_by
    excluded = f"({' '.join(option.excluded_by)})" if option.excluded_by else ""
    equals = "" if option.value is None else "=" if flag.startswith("--") else "+"
    value = f":{_value(option.value)}" if option.value else ""
    return f"{excluded}{'*' * repeatable}{flag}{equals}[{_escape(option.help, '[]')}]{value}"


def _argument(argument: Argument) -> str:
    return (
        f"{'*' * argument.repeated}:{':' * (argument.optional and not argument.repeated)}{_value(argument.value)}"
    )


def _value(value: Value) -> str:
    return f"{_escape(value.name, ':')}:{_action(value)}"


def _action(value: Value) -> str:
    if value.path:
        return "_files" if value.path == "file" else "_files -/"
    return f"({_escape(_listed(value.choices), ':')})" if value.choices else " "


def _listed(choices: Iterable[str]) -> str:
    return " ".join(map(quote, choices))


def _escape(text: str, special: str) -> str:
    return re.sub(rf"[\\{re.escape(special)}]", r"\\\g<0>", text)
