"""The shell completions, asked in the real shells."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from accountd.cli import VERBS, build_parser
from contrib.shells import ask_bash, ask_fish, ask_zsh, needs, type_into
from generators.bash import render_bash
from generators.command import Command, read_command
from generators.fish import render_fish
from generators.zsh import render_zsh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contrib.shells import Ask

    Render = Callable[[Command], str]

SHELLS = [
    pytest.param(ask_bash, render_bash, id="bash", marks=needs("bash")),
    pytest.param(ask_zsh, render_zsh, id="zsh", marks=needs("zsh")),
    pytest.param(ask_fish, render_fish, id="fish", marks=needs("fish")),
]

NASTY = """50% of `touch ran` $(touch ran) (touch ran) it's "q" [x] a:b {c,d} $HOME ~ * ; touch ran \\"""
CHOICES = ["raw", "$(touch ran)", "`touch ran`", "(touch ran)", "it's"]


@pytest.fixture
def nasty() -> Command:
    """Give a command line whose texts are all traps, with verbs of verbs and with arguments."""
    parser = argparse.ArgumentParser(prog="prog")
    verbs = parser.add_subparsers()
    one = verbs.add_parser("one", help=NASTY.replace("%", "%%"))
    one.add_argument("--flag", action="store_true", help=NASTY.replace("%", "%%"))
    one.add_argument("--pick", choices=CHOICES, metavar="[a]:b", help="pick")
    one.add_argument("--many", action="append", help="again and again")
    one.add_argument("--hidden", help=argparse.SUPPRESS)
    verbs.add_parser("ghost")
    below = verbs.add_parser("two-words", help="more verbs").add_subparsers()
    deep = below.add_parser("deep", help="the last one")
    deep.add_argument("way", choices=["up", "down"], help="where to")
    deep.add_argument("-x", "--extra", metavar="FILE", help="a file")
    return read_command(parser)


@pytest.mark.parametrize(("ask", "render"), SHELLS)
def test_the_first_word_is_a_verb(ask: Ask, render: Render, tmp_path: Path) -> None:
    """`accountd <TAB>` offers the verbs, with their help where the shell shows any, and nothing else."""
    root = read_command(build_parser())
    offered = ask(render(root), "accountd ", tmp_path)
    helps = {verb.path[-1]: verb.help for verb in root.commands}
    assert set(offered) == set(VERBS)
    assert ask is ask_bash or offered == helps
    assert set(ask(render(root), "accountd log", tmp_path)) == {"login", "logout"}


@pytest.mark.parametrize(("ask", "render"), SHELLS)
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_offers_its_options(ask: Ask, render: Render, verb: str, tmp_path: Path) -> None:
    """`accountd VERB --<TAB>` offers the options that `accountd VERB --help` lists, with their help."""
    root = read_command(build_parser())
    [command] = [command for command in root.commands if command.path[-1] == verb]
    offered = ask(render(root), f"accountd {verb} --", tmp_path)
    assert offered == {
        flag: "" if ask is ask_bash else option.help
        for option in command.options
        for flag in option.flags
        if flag.startswith("--")
    }


@pytest.mark.parametrize(("ask", "render"), SHELLS)
def test_what_makes_no_sense_is_not_offered(ask: Ask, render: Render, nasty: Command, tmp_path: Path) -> None:
    """Behind an option there is neither that option again, nor one that excludes it, nor one that is hidden."""
    root = render(read_command(build_parser()))
    offered = ask(root, "accountd login --browser --json --", tmp_path)
    assert {"--help", "--no-browser", "--socket", "--no-start"} <= set(offered)
    assert not {"--browser", "--json", "--with-api-key", "--strays"} & set(offered)
    assert set(ask(render(nasty), "prog one --many 1 --pick raw --", tmp_path)) == {"--help", "--flag", "--many"}


@pytest.mark.parametrize(("ask", "render"), SHELLS)
@pytest.mark.parametrize("equals", [" ", "="])
def test_choices_are_offered(ask: Ask, render: Render, equals: str, tmp_path: Path) -> None:
    """A value with choices is completed to one of them, behind a blank and behind `=`; others are left alone."""
    root = render(read_command(build_parser()))
    (tmp_path / "rare-file").touch()

    def values(line: str) -> set[str]:
        return {word.rpartition("=")[2] for word in ask(root, line, tmp_path)}

    assert values(f"accountd token --format{equals}") == {"raw", "json", "env", "header", "curl"}
    assert values(f"accountd serve --log-level{equals}d") == {"debug"}
    assert "no_code" in values(f"accountd sandbox --authorize{equals}")
    assert values(f"accountd token --min-valid{equals}") <= {""}
    assert values(f"accountd token --format{equals}raw --no-s") == {"--no-start"}


@pytest.mark.parametrize(("ask", "render"), SHELLS)
def test_files_and_folders_are_offered(ask: Ask, render: Render, tmp_path: Path) -> None:
    """An option for a file gets files and folders, one for a folder gets folders."""
    root = render(read_command(build_parser()))
    (tmp_path / "here-folder").mkdir()
    (tmp_path / "here-file").touch()

    def names(line: str) -> set[str]:
        return {word.rstrip("/").rpartition("=")[2] for word in ask(root, line, tmp_path)}

    assert names("accountd login --socket here") == {"here-folder", "here-file"}
    assert names("accountd sandbox --script=here") == {"here-folder", "here-file"}
    assert names("accountd sandbox --home here") == {"here-folder"}


@pytest.mark.parametrize(("ask", "render"), SHELLS)
def test_no_text_is_run(ask: Ask, render: Render, nasty: Command, tmp_path: Path) -> None:
    """Quotes, backquotes, `$(…)`, brackets, colons and backslashes arrive as they are, and are never run."""
    script = render(nasty)
    verbs, flags = ask(script, "prog ", tmp_path), ask(script, "prog one --", tmp_path)
    picks = ask(script, "prog one --pick ", tmp_path)
    assert set(verbs) == {"one", "two-words"}
    assert set(flags) == {"--help", "--flag", "--pick", "--many"}
    assert ask is ask_bash or (verbs["one"], flags["--flag"]) == (NASTY, NASTY)
    assert ask is ask_bash or len(picks) == len(CHOICES)
    assert "raw" in picks
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("ask", "render"), SHELLS)
def test_verbs_of_verbs_and_arguments(ask: Ask, render: Render, nasty: Command, tmp_path: Path) -> None:
    """A verb that has verbs offers these, and an argument with choices offers them."""
    script = render(nasty)
    assert set(ask(script, "prog two-words ", tmp_path)) == {"deep"}
    assert {"up", "down"} == set(ask(script, "prog two-words deep ", tmp_path))
    assert "--extra" in ask(script, "prog two-words deep --", tmp_path)
    assert "--extra" not in ask(script, "prog two-words deep -x f --", tmp_path)


@pytest.mark.parametrize(
    ("command", "setup", "line"),
    [
        pytest.param(
            ["bash", "--norc", "--noprofile", "-i"],
            "source ./_accountd",
            "accountd tok\t--form\tjs\t--socket a\t",
            id="bash",
            marks=needs("bash"),
        ),
        pytest.param(
            ["zsh", "-f", "-i"],
            "fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u",
            "accountd tok\t--form\tjs\t --socket=a\t",
            id="zsh",
            marks=needs("zsh"),
        ),
    ],
)
def test_a_person_types(command: list[str], setup: str, line: str, tmp_path: Path) -> None:
    """In an interactive shell, TAB completes a verb, an option, a choice and a path, whose blank it quotes."""
    render = render_bash if command[0] == "bash" else render_zsh
    (tmp_path / "_accountd").write_text(render(read_command(build_parser())))
    (tmp_path / "a file").touch()
    told = 'accountd() { printf "<%s>" "$@" >told; exit; }'
    type_into(command, f"{setup}\r{told}\r{line}\r", tmp_path)
    assert (tmp_path / "told").read_text().replace("=", "><") == "<token><--format><json><--socket><a file>"
