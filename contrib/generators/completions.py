"""The shell completions. shtab reads the parser; what it would leave a person to type is added here.

That is a value behind `=`, and a path with blanks in it, each of which it completes in some shells only. In bash
its functions also get names that are this command's own: they are defined in everybody's shell.
"""

from __future__ import annotations

import argparse
import re

import shtab

_FILE = shtab.FILE | {"bash": "_accountd_files", "fish": "(__fish_complete_path (__accountd_value))"}
_FOLDER = shtab.DIRECTORY | {"bash": "_accountd_dirs", "fish": "(__fish_complete_directories (__accountd_value))"}
_PATHS = {"PATH": _FILE, "FILE": _FILE, "DIR": _FOLDER, "FOLDER": _FOLDER}
"""What a metavar says of its value: the command line calls a path by one of these names, and nothing else so."""

_NAME = {"bash": "_accountd_names", "zsh": "_accountd_names", "fish": "(__accountd_names)"}
"""What completes a NAME, which on the command line is an account's."""

_LIST = r"accountd accounts --no-start 2>/dev/null | sed -n '2,$s/^[* ] \([^ ]*\).*/\1/p'"
"""What lists the names, each on a line: a daemon is asked if one runs, and none is started."""

_BEFORE = {"zsh": f"_accountd_names() {{ compadd -- $({_LIST}) }}\n"}
"""What zsh has to know before it comes to the end of the script, where it is called."""

_ADDED = {
    "bash": r"""
_accountd_files() { compgen -f -- "$1"; }
_accountd_dirs() { compgen -d -- "$1"; }
_accountd_names() { compgen -W "$(LIST)" -- "$1"; }

# bash takes `--format=raw` for three words. Without the = they are what is expected above.
_accountd() {
    local -a words=()
    local word
    for word in "${COMP_WORDS[@]:0:COMP_CWORD}"; do
        [[ $word == = ]] || words+=("$word")
    done
    words+=("${COMP_WORDS[COMP_CWORD]#=}")
    local -a COMP_WORDS=("${words[@]}")
    local COMP_CWORD=$((${#words[@]} - 1))
    _shtab_accountd
}
complete -o bashdefault -F _accountd accountd
""",
    "zsh": "",
    "fish": r"""
# What of the word stands behind --option=.
function __accountd_value
    commandline -ct | string replace -r '^--[\w-]+=' ''
end

function __accountd_names
    command -q accountd; and LIST
end
""",
}


def render_completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Write the script for bash, zsh or fish. The parser is changed, so that it is to be a fresh one."""
    _prepare(parser, shell)
    script = shtab.complete(parser, shell, preamble=_BEFORE.get(shell, ""))
    if shell == "bash":
        script = re.sub(r"\b_set_(?=parser_defaults|new_action)", "_shtab_accountd_set_", script)
    return f"{script.rstrip()}\n{_ADDED[shell].replace('LIST', _LIST)}"


def _prepare(parser: argparse.ArgumentParser, shell: str) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action._choices_actions:
                action.choices[verb.dest].description = verb.help  # shtab shows that beside the verb
                _prepare(action.choices[verb.dest], shell)
        elif isinstance(action.metavar, str) and action.metavar in _PATHS:
            action.complete = _PATHS[action.metavar]  # type: ignore[attr-defined]  # where shtab looks for it
        elif action.metavar == "NAME":
            action.complete = _NAME  # type: ignore[attr-defined]  # as above
        if shell == "zsh" and action.nargs != 0:
            action.option_strings = [f"{flag}=" for flag in action.option_strings]  # zsh takes `--flag X` then, too
