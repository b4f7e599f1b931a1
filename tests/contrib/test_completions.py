"""The shell completions, asked in the real shells."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import accountd
from accountd.cli import VERBS, build_parser
from contrib.shells import ask_bash, ask_fish, ask_zsh, needs, type_into

if TYPE_CHECKING:
    from contrib.shells import Ask

SCRIPTS = Path(accountd.__file__).parent / "cli/completion"

SHELLS = pytest.mark.parametrize(
    ("ask", "script"),
    [
        pytest.param(ask, (SCRIPTS / f"accountd.{shell}").read_text(), id=shell, marks=needs(shell))
        for shell, ask in {"bash": ask_bash, "zsh": ask_zsh, "fish": ask_fish}.items()
    ],
)


def verb_helps() -> dict[str, str]:
    """Read what --help says of each verb."""
    [verbs] = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return {verb.dest: verb.help or "" for verb in verbs._choices_actions}


def option_helps(verb: str) -> dict[str, str]:
    """Read what --help says of each long option of a verb, but for those that it hides."""
    [verbs] = (action for action in build_parser([verb])._actions if isinstance(action, argparse._SubParsersAction))
    return {
        flag: verbs.choices[verb]._get_formatter()._expand_help(action)
        for action in verbs.choices[verb]._actions
        for flag in action.option_strings
        if flag.startswith("--") and action.help != argparse.SUPPRESS
    }


@SHELLS
def test_the_first_word_is_a_verb(ask: Ask, script: str, tmp_path: Path) -> None:
    """`accountd <TAB>` offers the verbs, with their help where the shell shows any, and nothing else."""
    offered = ask(script, "accountd ", tmp_path)
    assert set(offered) == set(VERBS)
    assert ask is ask_bash or offered == verb_helps()
    assert set(ask(script, "accountd log", tmp_path)) == {"login", "logout"}
    assert set(ask(script, "accountd service --dry-run ", tmp_path)) == {"install", "uninstall", "status"}


@SHELLS
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_offers_its_options(ask: Ask, script: str, verb: str, tmp_path: Path) -> None:
    """`accountd VERB --<TAB>` offers the options that `accountd VERB --help` lists, with their help unharmed."""
    offered = ask(script, f"accountd {verb} --", tmp_path)
    assert offered.keys() == option_helps(verb).keys()
    assert ask is ask_bash or offered == option_helps(verb)


@SHELLS
@pytest.mark.parametrize("equals", [" ", "="])
def test_values_are_offered(ask: Ask, script: str, equals: str, tmp_path: Path) -> None:
    """Behind an option, and a blank or `=`, there are its choices, files and folders, folders alone, or nothing."""
    (tmp_path / "here-folder").mkdir()
    (tmp_path / "here-file").touch()

    def values(line: str) -> set[str]:
        return {word.rstrip("/").rpartition("=")[2] for word in ask(script, line, tmp_path)}

    assert values(f"accountd token --format{equals}") == {"raw", "json", "env", "header", "curl"}
    assert values(f"accountd serve --log-level{equals}d") == {"debug"}
    assert values(f"accountd token --min-valid{equals}") <= {""}
    assert values(f"accountd token --format{equals}raw --no-s") == {"--no-start"}
    assert values(f"accountd login --socket{equals}here") == {"here-folder", "here-file"}
    assert values(f"accountd sandbox --script{equals}here") == {"here-folder", "here-file"}
    assert values(f"accountd sandbox --home{equals}here") == {"here-folder"}


TABLE = """\
  NAME      WHO                      WORKSPACE   PLAN   STATE
* home      ada@example.com          Personal    plus   active
  work      ada@example.com          Acme        team   stored
Here: work (folder /home/ada/acme)
"""


@SHELLS
def test_names_of_accounts_are_offered(
    ask: Ask, script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the daemon lists them, behind option and verb; none is started for it, nor is it an error without."""
    command = tmp_path / "bin" / "accountd"
    command.parent.mkdir()
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    (tmp_path / "table").write_text(TABLE)
    for code, names in ((0, {"home", "work"}), (5, set())):
        answer = f"cat {tmp_path}/table" if not code else "echo there is none >&2"
        command.write_text(f'#!/bin/sh\n[ "$*" = "accounts --no-start" ] && {{ {answer}; exit {code}; }}\n')
        command.chmod(0o700)
        for line in ("switch ", "token --account ", "accounts pin "):
            assert {name for name in ask(script, f"accountd {line}", tmp_path) if name} - {"--"} == names, line
        if names:
            assert set(ask(script, "accountd switch h", tmp_path)) == {"home"}


@pytest.mark.parametrize(
    ("command", "setup", "path"),
    [
        pytest.param(["bash", "--norc", "--noprofile", "-i"], "", " a\\ f", id="bash", marks=needs("bash")),
        pytest.param(
            ["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -D -u", "=a", id="zsh", marks=needs("zsh")
        ),
    ],
)
def test_a_person_types(command: list[str], setup: str, path: str, tmp_path: Path) -> None:
    """With what `accountd completion` prints, TAB completes a verb, an option, a choice and a path with a blank."""
    (tmp_path / "a file").touch()
    told = 'accountd() { printf "<%s>" "$@" >told; exit; }'
    defined = f'eval "$({sys.executable} -m accountd completion {command[0]})"'
    line = f"accountd stat\t--form\tjs\t --socket{path}\t"
    type_into(command, f"{setup}\r{defined}\r{told}\r{line}\r", tmp_path)
    assert (tmp_path / "told").read_text().replace("=", "><") == "<status><--format><json><--socket><a file>"
