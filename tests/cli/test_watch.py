"""`accountd watch`: what is said at its start, of each event, and across a restart of the daemon."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from accountd.cli import exits, main
from accountd.cli.account import Account
from accountd.cli.watch.report import JsonReport, TextReport
from fakes.app_server import AppServer, Message, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from accountd.client.results import AccountLoginProgress
    from fakes.terminal import Terminal

pytestmark = pytest.mark.process

NOBODY: dict[str, Any] = {"account/read": {"account": None}, "getAuthStatus": {"authMethod": None}}
KEY: dict[str, Any] = {"account/read": {"account": {"type": "apiKey"}}, "getAuthStatus": {"authMethod": "apikey"}}
LOGIN: Message = {
    "loginId": "4739e968-e2f9-497c-bf76-2d4cb9ca6b34",
    "type": "chatgptDeviceCode",
    "state": "waiting",
    "startedAt": 1_800_000_000.0,
    "expiresAt": 1_800_000_900.0,
    "retries": 0,
    "retryCause": None,
}


def logins(*progress: Message) -> dict[str, Any]:
    """Answer which logins are under way."""
    return {"account/login/list": {"logins": [{"progress": login, "started": {}} for login in progress]}}


@contextlib.contextmanager
def watching(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the verb, and kill it should the test fail."""
    command = [sys.executable, "-m", "accountd", "watch", "--no-start", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as verb:
        try:
            yield verb
        finally:
            verb.kill()


def read(verb: subprocess.Popen[str]) -> str:
    """Give the next line, without the time of day that it begins with."""
    assert verb.stdout is not None
    line = verb.stdout.readline()
    assert re.match(r"\d\d:\d\d:\d\d  ", line), line
    return line[10:-1]


@contextlib.contextmanager
def abandoned(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the verb on a daemon that goes as soon as it was looked at."""
    with contextlib.ExitStack() as rest:
        with AppServer(path, {**NOBODY, **logins()}) as server:
            verb = rest.enter_context(watching())
            assert read(verb) == "Not logged in."
            server.wait_for("account/login/list")
        yield verb


def test_it_says_what_is_and_then_what_comes(path: Path) -> None:
    """First who is logged in and which logins wait; then each event as a line, until Ctrl-C."""
    with AppServer(path, {**NOBODY, **logins(LOGIN)}) as server, watching() as verb:
        assert read(verb) == "Not logged in."
        assert read(verb).startswith("Login 4739e968: with a code, waiting for approval until ")
        server.notify("account/login/progress", {**LOGIN, "state": "committing"})
        assert read(verb) == "Login 4739e968: storing them."
        server.script.update(KEY)
        server.notify("account/login/completed", {"loginId": None, "success": True, "error": None})
        server.notify("account/updated", {"authMode": "apikey", "planType": None})
        assert read(verb) == "Login with an API key or tokens: done."
        assert read(verb) == "Logged in with an API key."
        verb.send_signal(signal.SIGINT)
        assert verb.communicate(timeout=10) == ("", "")
        assert verb.returncode == exits.INTERRUPTED


def test_as_json_each_event_is_an_object(path: Path) -> None:
    """The account is as in `status --json`, a login as in the protocol; a signal ends it with its number."""
    with AppServer(path, {**NOBODY, **logins()}) as server, watching("--json") as verb:
        assert verb.stdout is not None
        first = json.loads(verb.stdout.readline())
        assert abs(first.pop("at") - time.time()) < 60
        assert first == {"event": "account", **Account(None).as_json()}
        server.notify("account/login/progress", LOGIN)
        told = json.loads(verb.stdout.readline())
        assert told == {"at": told["at"], "event": "login", **LOGIN}
        verb.send_signal(signal.SIGTERM)
        verb.communicate(timeout=10)
        assert verb.returncode == exits.SIGNALLED + signal.SIGTERM


def test_a_restart_of_the_daemon_is_told_and_survived(path: Path) -> None:
    """When the daemon goes, that is said once; when it is back, who is logged in is said again."""
    with abandoned(path) as verb:
        assert read(verb) == "The daemon has gone; waiting for it."
        with AppServer(path, {**KEY, **logins()}):
            assert read(verb) == "The daemon is there again."
            assert read(verb) == "Logged in with an API key."
            verb.send_signal(signal.SIGINT)
            verb.communicate(timeout=10)
            assert verb.returncode == exits.INTERRUPTED


def test_it_can_be_ended_while_it_waits(path: Path) -> None:
    """Ctrl-C works without a daemon, too."""
    with abandoned(path) as verb:
        assert read(verb) == "The daemon has gone; waiting for it."
        verb.send_signal(signal.SIGINT)
        assert verb.communicate(timeout=10) == ("", "")
        assert verb.returncode == exits.INTERRUPTED


def test_without_a_daemon_there_is_nothing_to_watch(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --no-start, and nobody there at the start, it is exit code 5."""
    assert main(["watch", "--no-start"]) == exits.NO_DAEMON
    assert "nothing listens on" in capsys.readouterr().err


def test_an_account_that_cannot_be_told_does_not_end_it(path: Path) -> None:
    """The daemon's complaint is a line among the others."""
    script = {**NOBODY, **logins(), "account/read": Refusal(-32600, "odd"), "getAuthStatus": {"authMethod": None}}
    with AppServer(path, script), watching() as verb:
        assert read(verb) == "Who is logged in cannot be told: odd"


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"type": "chatgpt"}, "with a browser, waiting for approval until 08:15:00."),
        ({"state": "exchanging"}, "approved; getting the tokens."),
        ({"retries": 1, "retryCause": "no route"}, "asked in vain, once in a row: no route."),
        ({"retries": 3, "retryCause": "a\n\x1b[31mb."}, "asked in vain, 3 times in a row: a �[31mb."),
    ],
)
def test_each_state_of_a_login_has_its_words(
    changed: Message, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line says where a login is; what comes from elsewhere cannot break it."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    TextReport().progress(cast("AccountLoginProgress", {**LOGIN, **changed}))
    assert capsys.readouterr().out[10:] == f"Login 4739e968: {line}\n"
    monkeypatch.undo()
    time.tzset()


def test_a_login_that_failed_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason is the daemon's; a program gets it as a member, and no more than it needs."""
    reason = {"reason": "loginDenied"}
    end = {"loginId": LOGIN["loginId"], "success": False, "error": "denied.", "accountd": reason}
    TextReport().completed(end)
    assert capsys.readouterr().out.endswith("Login 4739e968: failed: denied.\n")
    JsonReport().completed(end)
    event = json.loads(capsys.readouterr().out)
    assert event == {
        "at": event["at"],
        "event": "completed",
        "loginId": end["loginId"],
        "success": False,
        "error": "denied.",
        "reason": "loginDenied",
    }


def test_a_reader_that_goes_away_ends_it(path: Path) -> None:
    """`accountd watch | head -1` ends quietly at the next event."""
    with AppServer(path, {**NOBODY, **logins()}) as server, watching() as verb:
        assert read(verb) == "Not logged in."
        assert verb.stdout is not None
        server.wait_for("account/login/list")
        verb.stdout.close()
        server.notify("account/login/progress", LOGIN)
        verb.wait(10)
        assert verb.returncode == exits.ERROR
        assert verb.stderr is not None
        assert verb.stderr.read() == ""


def test_on_a_terminal_lines_are_folded_and_outcomes_coloured(path: Path, run: type[Terminal]) -> None:
    """In 40 columns the rest of a line stands below its beginning; the words say what the colour says."""
    with AppServer(path, {**NOBODY, **logins(LOGIN)}) as server:
        terminal = run("watch", "--no-start", columns=40, NO_COLOR="", TERM="xterm")
        terminal.wait_for("approval until\r\n")
        server.notify("account/login/completed", {"loginId": LOGIN["loginId"], "success": False, "error": "denied"})
        terminal.wait_for("denied.\x1b[0m\r\n")
        terminal.type("\x03")
        assert terminal.wait() == exits.INTERRUPTED
    lines = [re.sub(r"\d\d:\d\d:\d\d", "TIME", line) for line in terminal.screen.splitlines()]
    assert lines[:4] == [
        "\x1b[2mTIME\x1b[0m  Not logged in.",
        "\x1b[2mTIME\x1b[0m  Login 4739e968: with a code,",
        "          waiting for approval until",
        "          TIME.",
    ]
    assert lines[4:6] == [
        "\x1b[2mTIME\x1b[0m  \x1b[31mLogin 4739e968: failed:\x1b[0m",
        "          \x1b[31mdenied.\x1b[0m",
    ]
