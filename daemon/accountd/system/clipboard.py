"""The clipboard of the person who runs a verb: a program of the desktop that has it, or else the terminal.

A terminal takes text by the escape sequence OSC 52, also through SSH, and never says whether it did. The text is
handed to a program through its stdin: argv is for every process to read.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from accountd.errors import describe_os_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PATIENCE: Final = 3.0
"""Seconds that a program may take; those that stay to serve the clipboard do so from the background."""

_CODE: Final = re.compile(r"[!-~]{1,128}")
"""What is copied: nothing that a shell, into which it might be pasted, would run by itself."""

_TERMINAL: Final = "/dev/tty"
_WITHOUT: Final = ("", "dumb", "linux")
"""Values of TERM whose terminals have no clipboard."""


class Program(NamedTuple):
    """A command that reads what to copy. `certain`: once it has, it is in the clipboard."""

    words: tuple[str, ...]
    certain: bool = True


class Terminal(NamedTuple):
    """OSC 52, between what brings it through a program that lies between."""

    before: bytes = b""
    after: bytes = b""


class NoClipboard(NamedTuple):
    """There is none to copy to, and `reason` says why, as a part of a sentence."""

    reason: str


def choose_clipboard(environ: Mapping[str, str], platform: str = sys.platform) -> Program | Terminal | NoClipboard:
    """Find the clipboard that is before the person, without starting anything."""
    if not (environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")):
        for words in _programs(environ, platform):
            if path := shutil.which(words[0], path=environ.get("PATH")):
                return Program((path, *words[1:]))
    if environ.get("TMUX") and (path := shutil.which("tmux", path=environ.get("PATH"))):
        # Of OSC 52 by a program in it, tmux takes no notice unless it is told to; its own command needs no leave.
        return Program((path, "load-buffer", "-w", "-"), certain=False)
    if environ.get("TERM", "") in _WITHOUT:
        return NoClipboard("neither a program for it was found here, nor has this terminal one")
    if environ.get("STY"):
        return Terminal(b"\x1bP", b"\x1b\\")  # GNU screen passes on what is in a DCS
    return Terminal()


def copy(clipboard: Program | Terminal, code: str, environ: Mapping[str, str]) -> NoClipboard | None:
    """Copy a code, and return the reason if it could not be. Blocks for three seconds at most."""
    if not _CODE.fullmatch(code):
        return NoClipboard("this is no code to copy")
    if isinstance(clipboard, Terminal):
        return _send(clipboard, code)
    return _run(clipboard, code, environ)


def _programs(environ: Mapping[str, str], platform: str) -> Iterator[tuple[str, ...]]:
    if platform == "darwin":
        yield ("pbcopy",)
    if environ.get("WAYLAND_DISPLAY"):
        yield ("wl-copy",)
    if environ.get("DISPLAY"):
        yield ("xclip", "-selection", "clipboard")
        yield ("xsel", "-ib")
    if "WSL_DISTRO_NAME" in environ or "WSL_INTEROP" in environ:
        yield ("clip.exe",)


def _send(clipboard: Terminal, code: str) -> NoClipboard | None:
    """Write to the terminal itself: stdout may be anything."""
    sequence = b"\x1b]52;c;%b\x07" % base64.b64encode(code.encode())
    try:
        terminal = os.open(_TERMINAL, os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return NoClipboard("there is no terminal here that could have one")
    try:
        os.write(terminal, clipboard.before + sequence + clipboard.after)
    except OSError as error:
        return NoClipboard(f"the terminal cannot be written to: {describe_os_error(error)}")
    finally:
        os.close(terminal)
    return None


def _run(clipboard: Program, code: str, environ: Mapping[str, str]) -> NoClipboard | None:
    name = os.path.basename(clipboard.words[0])  # noqa: PTH119  # a name is all that is wanted of it
    try:
        done = subprocess.run(  # noqa: S603  # a program of this list, and the code on its stdin
            clipboard.words,
            env=environ,
            input=code.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            start_new_session=True,  # what stays to serve the clipboard is not for Ctrl-C to end
            check=False,
        )
    except subprocess.TimeoutExpired:
        return NoClipboard(f"{name} did not take it within {_PATIENCE:g} seconds")
    except OSError as error:
        return NoClipboard(f"{name} cannot be started: {describe_os_error(error)}")
    return NoClipboard(f"{name} failed (exit code {done.returncode})") if done.returncode else None
