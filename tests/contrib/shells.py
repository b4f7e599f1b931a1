"""Asking real shells what they offer: each gets a script and a line, and tells the words and what they mean."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import termios
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[[str, str, Path], dict[str, str]]

_ZSH = r"""
fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u; zstyle ':completion:*' verbose yes
tell() {
    compadd() {
        if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)(|\ *) ]]; then builtin compadd "$@"; return; fi
        local -a words texts; local i=${@[(I)-d]}
        (( i )) && texts=("${(@P)@[i+1]}")
        builtin compadd -A words -D texts "$@"
        for ((i = 1; i <= $#words; i++)); do print -r -- "${words[i]}"$'\t'"${texts[i]#*-- }" >>told; done
        builtin compadd "$@"  # whose answer tells whether to look further
    }
    _main_complete
    exit
}
zle -C tell complete-word tell; bindkey '^I' tell
"""
"""What TAB would add is written to a file, and nothing more is typed."""


def ask_bash(script: str, line: str, folder: Path) -> dict[str, str]:
    """Call the function as bash does, with the line broken at blanks, = and :. bash has no descriptions."""
    words = [*re.findall(r"[=:]+|[^\s=:]+", line), *([""] if line.endswith(" ") else [])]
    (folder / "completion").write_text(script)
    asked = 'source ./completion; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); "_$1"; printf "%s\\n" "${COMPREPLY[@]}"'
    return dict.fromkeys(_run(["bash", "--norc", "--noprofile", "-c", asked, "bash", *words], folder).split(), "")


def ask_zsh(script: str, line: str, folder: Path) -> dict[str, str]:
    """Type the line into an interactive zsh that autoloads the script, and TAB."""
    (folder / f"_{line.split(maxsplit=1)[0]}").write_text(script)
    (folder / "tell.zsh").write_text(_ZSH)
    (folder / "told").write_text("")
    type_into(["zsh", "-f", "-i"], f"source ./tell.zsh\r{line}\t", folder)
    return dict(entry.split("\t") for entry in (folder / "told").read_text().splitlines())


def ask_fish(script: str, line: str, folder: Path) -> dict[str, str]:
    """Let fish itself say what it would offer."""
    (folder / "completion").write_text(script)
    asked = f"source ./completion; complete -C {quote(line)}"
    told = _run(["fish", "--no-config", "-c", asked], folder)
    return {word: text for word, _, text in (entry.partition("\t") for entry in told.splitlines())}


def needs(shell: str) -> pytest.MarkDecorator:
    """Skip a test where there is no such shell, but where everything must run."""
    return pytest.mark.skipif(
        shutil.which(shell) is None and "CI" not in os.environ,
        reason=f"no {shell} here; install your system's package `{shell}`",
    )


def type_into(command: list[str], keys: str, folder: Path) -> str:
    """Run a shell on a terminal of its own until it exits; give all that it showed."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 400))  # nothing is cut off
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(folder),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        os.write(ours, keys.encode())
        while chunk := _read(ours):
            shown += chunk
    finally:
        os.close(ours)
        process.kill()
        process.wait()
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the last one hung up
        return b""


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, env=_environment(folder), capture_output=True, text=True, check=True)
    noise = [line for line in done.stderr.splitlines() if "compopt" not in line]  # outside of a real completion
    assert noise == []
    return done.stdout


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
