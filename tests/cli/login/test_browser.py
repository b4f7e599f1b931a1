"""`accountd login --browser`: the page that is shown or opened, and how its story differs from that of a code."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import pytest

from accountd.cli import main
from fakes.app_server import LOGIN_ID, AppServer, Refusal, Script, begin, completed

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://auth.example.com/oauth/authorize?response_type=code&state=s%20t"
STARTED = {"type": "chatgpt", "loginId": LOGIN_ID, "authUrl": URL}
WHO: Script = {"account/read": {"account": {"type": "apiKey"}}, "getAuthStatus": {"authMethod": "apikey"}}


SUCCEEDS: Script = {"account/login/start": begin(STARTED, completed()), **WHO}
UNOPENED = [
    "Open this page in a browser, on this machine or any other:",
    "",
    URL,
    "",
    "Waiting for approval, for at most 10 minutes.",
]


@pytest.fixture
def browser(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file into which the browser of this test writes its arguments."""
    script = home / "my browser"
    script.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        "with open(sys.argv[1] + '.part', 'w') as file: file.write(repr(sys.argv[2:]))\n"
        "os.rename(sys.argv[1] + '.part', sys.argv[1])\n"
    )
    script.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"'{script}' {home}/seen --new-window")
    return home / "seen"


def read_arguments(seen: Path) -> str:
    """Wait for the browser, which nobody else waits for."""
    deadline = time.monotonic() + 10
    while not seen.exists():
        assert time.monotonic() < deadline, "no browser was started"
        time.sleep(0.01)
    return seen.read_text()


@pytest.mark.process
def test_a_browser_is_opened(path: Path, browser: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The browser gets the whole address as one argument; the person gets it too, on a line of its own."""
    with AppServer(path, SUCCEEDS) as server:
        assert main(["login", "--browser"]) == 0
        assert server.params("account/login/start") == {"type": "chatgpt"}
    assert read_arguments(browser) == repr(["--new-window", URL])
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "A browser is being opened. If it does not show this page, open it yourself:",
        *UNOPENED[1:],
        "Logged in with an API key.",
    ]
    assert err == ""


def test_no_browser_is_opened_if_the_person_says_so(
    path: Path, browser: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --no-browser the address is printed, and no reason is given to the one who gave it."""
    with AppServer(path, SUCCEEDS):
        assert main(["login", "--browser", "--no-browser"]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == UNOPENED
    assert not browser.exists()


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}, "this is a remote session (SSH)"),
        ({}, "there is no display here"),
        ({"BROWSER": ""}, "BROWSER says so"),
    ],
)
def test_it_says_why_no_browser_is_opened(
    path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    reason: str,
) -> None:
    """One line gives the reason, one names the way that needs no browser here; both fit 80 columns."""
    monkeypatch.setattr(
        "accountd.cli.login.ways.os.environ", {"PATH": "/usr/bin", "ACCOUNTD_SOCKET": str(path), **environ}
    )
    monkeypatch.setattr(sys, "platform", "linux")
    with AppServer(path, SUCCEEDS):
        assert main(["login", "--browser"]) == 0
    lines = capsys.readouterr().out.splitlines()
    hint = "`accountd login`, without --browser, gives a code to type instead."
    assert lines[:-1] == [f"No browser is opened: {reason}.", *UNOPENED, hint]
    assert max(map(len, lines)) <= 80


@pytest.mark.process
def test_a_browser_that_cannot_be_started(path: Path, browser: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That a program cannot be run is a reason like another, and the login goes on."""
    script = browser.with_name("my browser")
    script.write_text("#!/no/such/interpreter\n")
    with AppServer(path, SUCCEEDS):
        assert main(["login", "--browser"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"No browser is opened: {script} cannot be started: No such file or directory (os error 2)."


@pytest.mark.process
@pytest.mark.parametrize("opened", [True, False])
def test_json_says_whether_a_browser_was_opened(
    path: Path, browser: Path, capsys: pytest.CaptureFixture[str], opened: bool
) -> None:
    """`--json` prints "started" with the address and what became of the browser, then "completed"."""
    with AppServer(path, SUCCEEDS):
        assert main(["login", "--browser", "--json", *([] if opened else ["--no-browser"])]) == 0
    started, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert started == {
        "event": "started",
        "loginId": LOGIN_ID,
        "authUrl": URL,
        "browserOpened": opened,
        "expiresIn": 600.0,
    }
    assert (end["event"], end["success"]) == ("completed", True)
    if opened:
        read_arguments(browser)


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("loginTimedOut", ""),
        ("loginCancelled", " (cancelled by another client, or replaced by another login)"),
        ("portYielded", " (another program on this machine asked for the port)"),
    ],
)
def test_a_login_that_fails_says_why(
    path: Path, capsys: pytest.CaptureFixture[str], reason: str, hint: str
) -> None:
    """The error of the completion, and what the reasons for cancellations mean; exit code 1."""
    end = completed("it failed", reason=reason)
    with AppServer(path, {"account/login/start": begin(STARTED, end)}):
        assert main(["login", "--browser", "--no-browser"]) == 1
    assert capsys.readouterr().err == f"accountd: the login failed: it failed{hint}\n"


def test_without_a_port_the_code_is_named(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon says who holds the ports, and the verb that needs none follows."""
    text = "failed to start login server: 1455 by node (pid 4711); 1457 by node (pid 4711)"
    with AppServer(path, {"account/login/start": Refusal(-32603, text, "portUnavailable")}):
        assert main(["login", "--browser"]) == 1
    assert capsys.readouterr() == ("", f"accountd: {text}\naccountd: try `accountd login`\n")


def test_another_refusal_gets_no_advice(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A login that is forbidden is as forbidden with a code."""
    text = "ChatGPT login is disabled. Use API key login instead."
    with AppServer(path, {"account/login/start": Refusal(-32600, text)}):
        assert main(["login", "--browser"]) == 1
    assert capsys.readouterr() == ("", f"accountd: {text}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no-browser"], "--no-browser goes with --browser"),
        (["--browser", "--with-api-key"], "--with-api-key: not allowed with argument --browser"),
        (["--browser", "http://127.0.0.1:1455/auth/callback?code=c"], "`login` takes nothing"),
    ],
)
def test_what_does_not_go_together(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    """Contradictions, and an address on the command line, are told without repeating any of it; exit code 2."""
    assert main(["login", *arguments]) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert (out, "code=c" in err) == ("", False)
