"""`accountd login --qr` and `--copy`: what is shown and copied, and that no login fails for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from accountd.cli import main
from accountd.cli.login.qr_code import draw_address
from accountd.cli.terminal import Screen, Style
from fakes.app_server import AppServer, Script, begin

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.terminal import Terminal

pytestmark = pytest.mark.process

PAGE = "https://auth.example.com/codex/device"
STARTED = {"type": "chatgptDeviceCode", "loginId": "l", "verificationUrl": PAGE, "userCode": "ABCD-12345"}
COMPLETED = ("account/login/completed", {"loginId": "l", "success": True, "error": None})
ANSWERS: Script = {
    "account/login/start": begin(STARTED, COMPLETED),
    "account/read": {"account": {"type": "chatgpt", "email": "dev@example.com", "planType": "pro"}},
    "getAuthStatus": {"authMethod": "chatgpt"},
}
OSC_52 = "\x1b]52;c;QUJDRC0xMjM0NQ==\x07"


@pytest.mark.parametrize("columns", [80, 40])
@pytest.mark.parametrize("ansi", [True, False])
def test_the_page_is_a_picture_between_its_address_and_the_code(
    path: Path, run: type[Terminal], columns: int, ansi: bool
) -> None:
    """The whole picture is there, no line of it wraps, and the address is still told in letters."""
    with AppServer(path, ANSWERS):
        terminal = run("login", "--qr", columns=columns, NO_COLOR="" if ansi else "1")
        assert terminal.wait() == 0
    picture = draw_address(PAGE, Screen(True, columns, Style(ansi), blocks=True))
    assert isinstance(picture, list)
    before, found, after = terminal.screen.partition("\r\n".join(picture))
    assert found
    assert PAGE in before
    assert "ABCD-12345" in after


def test_the_page_and_the_code_stand_out(path: Path, run: type[Terminal]) -> None:
    """In bold; and the sentence at the end is green."""
    with AppServer(path, ANSWERS):
        terminal = run("login", NO_COLOR="")
        assert terminal.wait() == 0
    assert f"    \x1b[1m{PAGE}\x1b[0m\r\n" in terminal.screen
    assert "    \x1b[1m\x1b[32mABCD-12345\x1b[0m" in terminal.screen
    assert "\x1b[32mLogged in with ChatGPT as dev@example.com.\x1b[0m" in terminal.screen


def test_a_terminal_that_is_too_narrow_gets_a_line_instead(path: Path, run: type[Terminal]) -> None:
    """A broken picture helps nobody; the login goes on."""
    with AppServer(path, ANSWERS):
        terminal = run("login", "--qr", columns=32)
        assert terminal.wait() == 0
    assert "the QR code is left out: it needs 33 columns, and this terminal has 32" in " ".join(
        terminal.screen.split()
    )
    assert "█" not in terminal.screen


def test_off_a_terminal_the_picture_is_left_out(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gets the text as without --qr, and stderr the reason."""
    with AppServer(path, ANSWERS):
        assert main(["login", "--qr"]) == 0
        out, err = capsys.readouterr()
        assert main(["login"]) == 0
    assert capsys.readouterr().out == out
    assert err == "accountd: the QR code is left out: stdout is no terminal\n"


def test_the_countdown_fits_into_forty_columns(path: Path, run: type[Terminal]) -> None:
    """Each second it is as long as the window, as it is then, has room for."""
    with AppServer(path, {**ANSWERS, "account/login/start": begin(STARTED)}) as server:
        terminal = run("login", columns=40)
        terminal.wait_for("\r\n\r\n\rWaiting · 15:00 left · Ctrl-C cancels")
        terminal.resize(30)
        terminal.wait_for("\x1b[1A\r\x1b[J14:59 left · Ctrl-C cancels")
        server.notify(*COMPLETED)
        assert terminal.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--qr", "--browser"], "too long for a QR code, and leads back to this machine"),
        (["--copy", "--browser"], "--copy goes with a login with a code"),
        (["--qr", "--with-api-key"], "--qr goes with a login with a code"),
        (["--copy", "--with-api-key"], "--copy goes with a login with a code"),
        (["--qr", "--json"], "--qr is for people; a program finds the page and the code in the JSON"),
        (["--copy", "--json"], "--copy is for people"),
    ],
)
def test_comforts_are_for_people_with_a_code(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Elsewhere they are a wrong command line, which is told before any daemon is asked."""
    assert main(["login", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), words in err) == ("", 1, True)


def test_the_code_is_copied_through_the_terminal(path: Path, run: type[Terminal]) -> None:
    """Over SSH the terminal gets OSC 52; that it may not have taken it is said."""
    with AppServer(path, ANSWERS):
        terminal = run("login", "--copy", SSH_TTY="/dev/pts/1")
        assert terminal.wait() == 0
    assert terminal.screen.count(OSC_52) == 1
    assert "The code was sent to the terminal's clipboard; not every terminal takes it.\r\n" in terminal.screen


def test_the_code_is_copied_by_a_program(path: Path, home: Path, run: type[Terminal]) -> None:
    """A desktop's program gets the code, and the terminal no escape sequence."""
    (home / "wl-copy").write_text(f"#!/bin/sh\ncat > {home}/copied\n")
    (home / "wl-copy").chmod(0o700)
    with AppServer(path, ANSWERS):
        terminal = run("login", "--copy", WAYLAND_DISPLAY="wayland-0", PATH=f"{home}:/usr/bin:/bin")
        assert terminal.wait() == 0
    assert (home / "copied").read_text() == "ABCD-12345"
    assert "The code is in the clipboard.\r\n" in terminal.screen
    assert "\x1b]52" not in terminal.screen


def test_a_code_that_is_not_copied_does_not_fail_the_login(path: Path, run: type[Terminal]) -> None:
    """One line says why, and the person types; exit code 0."""
    with AppServer(path, ANSWERS):
        terminal = run("login", "--copy", TERM="dumb", PATH="/nowhere")
        assert terminal.wait() == 0
    said = " ".join(terminal.screen.split())
    assert "The code is not in the clipboard: neither a program for it was found here, nor" in said


def test_nothing_is_copied_unasked(path: Path, run: type[Terminal]) -> None:
    """Without --copy the clipboard is left alone, and JSON on a terminal has no escape sequences."""
    with AppServer(path, ANSWERS):
        terminal = run("login", "--json", NO_COLOR="", SSH_TTY="/dev/pts/1")
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.screen
    assert [json.loads(line)["event"] for line in terminal.screen.splitlines()] == ["started", "completed"]
