"""Which clipboard a code goes to, and how it gets there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accountd.system import clipboard
from accountd.system.clipboard import NoClipboard, Program, Terminal, choose_clipboard, copy

CODE = "ABCD-12345"
SEQUENCE = b"\x1b]52;c;QUJDRC0xMjM0NQ==\x07"
SSH = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}
X11 = {"DISPLAY": ":0"}
WAYLAND = {"WAYLAND_DISPLAY": "wayland-0"}
WSL = {"WSL_DISTRO_NAME": "Debian"}
XTERM = {"TERM": "xterm-256color"}
TMUX = {"TERM": "screen", "TMUX": "/tmp/tmux-1000/default,1,0"}
XCLIP = ("xclip", "-selection", "clipboard")
LOAD = ("tmux", "load-buffer", "-w", "-")
NONE = NoClipboard("neither a program for it was found here, nor has this terminal one")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Give a folder for the programs of a test."""
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def install(programs: Path, name: str, script: str = "") -> str:
    """Put a program into the folder."""
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o700)
    return str(programs / name)


@pytest.mark.parametrize(
    ("environ", "platform", "installed", "chosen"),
    [
        ({}, "darwin", ["pbcopy"], ("pbcopy",)),
        (WAYLAND, "linux", ["wl-copy", "xclip"], ("wl-copy",)),
        ({**WAYLAND, **X11}, "linux", ["xclip"], XCLIP),
        (X11, "linux", ["wl-copy", "xclip", "xsel"], XCLIP),
        (X11, "linux", ["xsel"], ("xsel", "-ib")),
        (WSL, "linux", ["clip.exe"], ("clip.exe",)),
        ({"WSL_INTEROP": "/run/WSL/1"}, "linux", ["clip.exe"], ("clip.exe",)),
        (XTERM, "linux", ["wl-copy", "xclip", "xsel", "clip.exe", "pbcopy"], Terminal()),
        ({**XTERM, "DISPLAY": ""}, "linux", ["xclip"], Terminal()),
        ({**XTERM, **X11}, "linux", [], Terminal()),
        ({**XTERM, **SSH, **X11}, "linux", ["xclip"], Terminal()),
        ({**XTERM, "SSH_TTY": "/dev/pts/1"}, "darwin", ["pbcopy"], Terminal()),
        (TMUX, "linux", ["tmux"], LOAD),
        ({**TMUX, **SSH}, "linux", ["tmux", "xclip"], LOAD),
        ({**TMUX, **X11}, "linux", ["tmux", "xclip"], XCLIP),
        (TMUX, "linux", [], Terminal()),
        ({"TERM": "screen", "STY": "1.pts-0"}, "linux", [], Terminal(b"\x1bP", b"\x1b\\")),
        ({"TERM": "dumb"}, "linux", [], NONE),
        ({"TERM": "linux"}, "linux", [], NONE),
        ({}, "linux", [], NONE),
    ],
)
def test_the_clipboard_before_the_person(
    programs: Path,
    environ: dict[str, str],
    platform: str,
    installed: list[str],
    chosen: tuple[str, ...] | Terminal | NoClipboard,
) -> None:
    """It is the desktop's, if this is one; at the end of SSH, and without a program, it is the terminal's."""
    for name in installed:
        install(programs, name)
    found = choose_clipboard({**environ, "PATH": str(programs)}, platform)
    if isinstance(chosen, (Terminal, NoClipboard)):
        assert found == chosen
    else:
        assert found == Program((str(programs / chosen[0]), *chosen[1:]), certain=chosen is not LOAD)


@pytest.mark.process
def test_a_program_gets_the_code_on_its_stdin(programs: Path, tmp_path: Path) -> None:
    """No argument has it, nothing is written to the terminal, and the program has a session of its own."""
    script = (
        f'cat > {tmp_path}/input; echo "$@" > {tmp_path}/arguments; echo noise; echo noise >&2;'
        f" ps -o sid= -p $$ > {tmp_path}/session; echo $$ > {tmp_path}/pid"
    )
    program = Program((install(programs, "xclip", script), *XCLIP[1:]))
    assert copy(program, CODE, {"PATH": os.environ["PATH"]}) is None
    told = {name: (tmp_path / name).read_text().strip() for name in ("input", "arguments", "session", "pid")}
    assert (told["input"], told["arguments"]) == (CODE, "-selection clipboard")
    assert told["session"] == told["pid"]


@pytest.mark.process
def test_a_program_that_stays_is_not_waited_for(programs: Path) -> None:
    """What serves the clipboard from the background may go on for as long as it likes."""
    assert copy(Program((install(programs, "xsel", "cat > /dev/null; sleep 5 &"),)), CODE, os.environ) is None


@pytest.mark.process
def test_a_program_that_fails_is_a_reason(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exit code, a program that is gone and one that hangs are no exceptions, and repeat no code."""
    monkeypatch.setattr(clipboard, "_PATIENCE", 0.2)
    for script, reason in (("exit 3", "xclip failed (exit code 3)"), ("exec sleep 60", "xclip did not take it")):
        failed = copy(Program((install(programs, "xclip", script),)), CODE, os.environ)
        assert isinstance(failed, NoClipboard)
        assert failed.reason.startswith(reason)
    gone = copy(Program((str(programs / "gone"),)), CODE, os.environ)
    assert gone == NoClipboard("gone cannot be started: No such file or directory (os error 2)")


@pytest.mark.parametrize("code", ["", "a b", "rm -r\n", "x\x1b]", "ä", "x" * 129])
def test_only_codes_are_copied(programs: Path, tmp_path: Path, code: str) -> None:
    """What a daemon sends might be pasted into a shell: it is one word, or it is not copied."""
    program = Program((install(programs, "xclip", f"touch {tmp_path}/started"),))
    assert copy(program, code, os.environ) == NoClipboard("this is no code to copy")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("terminal", [Terminal(), Terminal(b"\x1bP", b"\x1b\\")])
def test_a_terminal_gets_the_code_as_osc_52(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    """The sequence is written to the terminal itself, in what carries it through a program between."""
    (tmp_path / "tty").touch()
    monkeypatch.setattr(clipboard, "_TERMINAL", str(tmp_path / "tty"))
    assert copy(terminal, CODE, {}) is None
    assert (tmp_path / "tty").read_bytes() == terminal.before + SEQUENCE + terminal.after


@pytest.mark.process
def test_where_there_is_no_terminal_there_is_no_clipboard() -> None:
    """A process without a controlling terminal has nowhere to write to."""
    code = f"from accountd.system.clipboard import Terminal, copy\nprint(copy(Terminal(), {CODE!r}, {{}}).reason)"
    done = subprocess.run(
        [sys.executable, "-c", code], start_new_session=True, capture_output=True, text=True, check=True
    )
    assert done.stdout == "there is no terminal here that could have one\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_terminal_that_takes_nothing_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails is no exception."""
    monkeypatch.setattr(clipboard, "_TERMINAL", "/dev/full")
    reason = "the terminal cannot be written to: No space left on device (os error 28)"
    assert copy(Terminal(), CODE, {}) == NoClipboard(reason)
