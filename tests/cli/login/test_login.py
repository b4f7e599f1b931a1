"""`accountd login`: the story that is told of a login with a code, and the key that is told to nobody."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from accountd.cli import exits, main
from accountd.cli.login import course as login_course
from fakes.app_server import LOGIN_ID, STARTED, Answer, AppServer, Message, Raw, Refusal, Script, begin, completed

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = {
    "account": {"type": "chatgpt", "email": "dev@example.com", "planType": "pro", "workspaceName": "Personal"}
}
WHO: Script = {"account/read": ACCOUNT, "getAuthStatus": {"authMethod": "chatgpt"}}


def test_a_login_is_told_from_its_code_to_its_end(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page, the code, the warning of RFC 8628 section 5.4, how long it waits, and who is logged in."""
    with AppServer(path, {"account/login/start": begin(STARTED, completed()), **WHO}) as server:
        assert main(["login"]) == 0
        assert server.params("account/login/start") == {"type": "chatgptDeviceCode"}
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "Open this page in a browser, on this machine or any other:",
        "",
        "    https://auth.example.com/codex/device",
        "",
        "and enter this code:",
        "",
        "    ABCD-12345",
        "",
        "Only type the code if you started this login yourself: it opens your account.",
        "Waiting for approval, for at most 15 minutes.",
        "Logged in with ChatGPT as dev@example.com.",
    ]
    assert (err, "\r" in out) == ("", False)
    assert max(map(len, out.splitlines())) <= 80


def test_json_is_one_event_a_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints "started" and "completed" with what a program needs, and nothing else."""
    with AppServer(path, {"account/login/start": begin(STARTED, completed()), **WHO}):
        assert main(["login", "--json"]) == 0
    started, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert started == {
        "event": "started",
        "loginId": LOGIN_ID,
        "verificationUrl": "https://auth.example.com/codex/device",
        "userCode": "ABCD-12345",
        "expiresIn": 900.0,
    }
    assert {**end, "event": "completed", "success": True, "email": "dev@example.com", "tooLate": False} == end


def progress(state: str, retries: int = 0) -> tuple[str, Message]:
    """Write the notification of a step."""
    cause = "no route" if retries else None
    return "account/login/progress", {"loginId": LOGIN_ID, "state": state, "retries": retries, "retryCause": cause}


def test_json_tells_of_steps_and_retries(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each step is an event, and each retry and its end; that it waits, which every login does at first, is not."""
    told = (progress("waiting"), progress("waiting", 1), progress("waiting"), progress("exchanging"), completed())
    with AppServer(path, {"account/login/start": begin(STARTED, *told), **WHO}):
        assert main(["login", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["started", "progress", "progress", "progress", "completed"]
    assert events[1:4] == [
        {"event": "progress", "state": "waiting", "retries": 1, "retryCause": "no route"},
        {"event": "progress", "state": "waiting", "retries": 0, "retryCause": None},
        {"event": "progress", "state": "exchanging", "retries": 0, "retryCause": None},
    ]


@pytest.mark.parametrize(
    ("error", "reason", "hint"),
    [
        ("device auth timed out after 15 minutes", "loginTimedOut", ""),
        ("not completed", "loginCancelled", " (cancelled by another client, or replaced by another login)"),
        (
            "Login was not completed",
            "daemonEnding",
            " (the daemon was told to end; log in again, which starts another one)",
        ),
        ("Login was not completed", None, ""),
    ],
)
def test_a_login_that_fails_says_why(
    path: Path, capsys: pytest.CaptureFixture[str], error: str, reason: str | None, hint: str
) -> None:
    """The error of the completion is on stderr, with what its reason means, or in the JSON; exit code 1."""
    end = completed(error, reason=reason)
    with AppServer(path, {"account/login/start": begin(STARTED, end)}):
        assert main(["login"]) == 1
        assert capsys.readouterr().err == f"accountd: the login failed: {error}{hint}\n"
        assert main(["login", "--json"]) == 1
        out, err = capsys.readouterr()
        told = {"event": "completed", "success": False, "error": error, "reason": reason}
        assert json.loads(out.splitlines()[1]) == told
        assert err == ""


def test_the_ends_of_other_logins_are_passed_over(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the completion with its own id ends a login: all clients are told of all logins."""
    others = (completed("no", "another"), ("account/updated", {"authMode": None}), completed())
    with AppServer(path, {"account/login/start": begin(STARTED, *others), **WHO}):
        assert main(["login"]) == 0
    assert "Logged in with ChatGPT" in capsys.readouterr().out


def test_a_login_that_may_not_begin_says_why(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal of the start is the error, and no code is shown."""
    text = "ChatGPT login is disabled. Use API key login instead."
    with AppServer(path, {"account/login/start": Refusal(-32600, text)}):
        assert main(["login"]) == 1
    assert capsys.readouterr() == ("", f"accountd: {text}\n")


_BEGUN = ({"id": 2, "result": STARTED}, *({"method": m, "params": p} for m, p in begin(STARTED).notifications))


@pytest.mark.parametrize(
    ("start", "event"),
    [
        (
            Refusal(-32600, "no", "policy"),
            {"event": "completed", "success": False, "error": "no", "reason": "policy"},
        ),
        (
            Refusal(-32600, "no", "deviceCodesDisabled"),
            {"event": "completed", "success": False, "error": "no", "reason": "deviceCodesDisabled"},
        ),
        (Raw(b"", hang_up=True), {"event": "lost"}),
        (Raw("".join(f"{json.dumps(message)}\n" for message in _BEGUN).encode(), hang_up=True), {"event": "lost"}),
    ],
    ids=["refused", "no codes", "cut before", "cut after"],
)
def test_json_has_an_event_for_every_end(
    path: Path, capsys: pytest.CaptureFixture[str], start: Answer, event: dict[str, object]
) -> None:
    """A start that is refused, and a daemon that is gone: the last line is the end, and stderr has words too."""
    with AppServer(path, {"account/login/start": start}):
        assert main(["login", "--json"]) == 1
    out, err = capsys.readouterr()
    last = json.loads(out.splitlines()[-1])
    assert {**last, **event} == last
    assert err.startswith("accountd: ")


def test_json_has_an_event_where_there_is_no_daemon(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A login that nobody could be asked for has failed as well."""
    assert main(["login", "--json", "--no-start"]) == exits.NO_DAEMON
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["success"], event["reason"]) == ("completed", False, None)


@pytest.mark.parametrize("arguments", [[], ["--with-api-key"]])
def test_whose_place_a_login_takes_is_told(
    path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    """Who is logged in before is the first line, for a person; who is nobody is not told."""
    start = {"type": "apiKey"} if arguments else begin(STARTED, completed())
    script: Script = {"account/login/start": start, **WHO}
    kept = "if that is of another account, this one is kept (`accountd accounts`)"
    first = f"Logged in with ChatGPT as dev@example.com. The new login will be in use instead; {kept}."
    for mode, told in (("chatgpt", True), (None, False)):
        pipe_in(monkeypatch, b"sk-1")
        with AppServer(path, {**script, "accountd/status": {"credential": {"mode": mode}}}):
            assert main(["login", *arguments]) == 0
        assert (capsys.readouterr().out.splitlines()[0] == first) is told


def test_where_there_are_no_codes_the_browser_is_named(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The issuer's refusal to give codes is followed by the verb that needs none."""
    text = "device code login is off"
    with AppServer(path, {"account/login/start": Refusal(-32600, text, "deviceCodesDisabled")}):
        assert main(["login"]) == 1
    assert capsys.readouterr() == ("", f"accountd: {text}\naccountd: try `accountd login --browser`\n")


def test_a_daemon_that_goes_away_ends_the_login(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A connection that closes during the wait is one line, and exit code 1."""
    [(method, params)] = begin(STARTED).notifications
    told = ({"id": 2, "result": STARTED}, {"method": method, "params": params})
    lines = "".join(f"{json.dumps(message)}\n" for message in told).encode()
    with AppServer(path, {"account/login/start": Raw(lines, hang_up=True)}):
        assert main(["login"]) == 1
    assert capsys.readouterr().err == f"accountd: the daemon at {path} closed the connection\n"


def test_a_completed_login_stays_so_if_nobody_can_say_whose(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When the account cannot be read after success, the login is told without details; exit code 0."""
    script: Script = {"account/login/start": begin(STARTED, completed()), "account/read": Raw(b"", hang_up=True)}
    script["getAuthStatus"] = None
    with AppServer(path, script):
        assert main(["login"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Logged in with ChatGPT (workspace details are unavailable: the daemon at ")


def test_a_login_that_never_ends_is_cancelled(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that does not end a login in its lifetime and some grace is asked to cancel it."""
    monkeypatch.setattr(login_course, "_GRACE", 0.02)
    start = begin(STARTED, lifetime=0.02)
    script: Script = {"account/login/start": start, "account/login/cancel": {"status": "canceled"}}
    with AppServer(path, script) as server:
        assert main(["login"]) == 1
        assert server.params("account/login/cancel") == {"loginId": LOGIN_ID}
    assert "did not end the login in time" in capsys.readouterr().err


def pipe_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let stdin be a pipe with this in it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_an_api_key_comes_from_stdin(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key goes to the daemon without its newline, and to nobody else."""
    pipe_in(monkeypatch, b"sk-secret-1\r\n")
    script: Script = {
        "account/login/start": {"type": "apiKey"},
        "account/read": {"account": {"type": "apiKey"}},
        "getAuthStatus": {"authMethod": "apikey"},
    }
    with AppServer(path, script) as server:
        assert main(["login", "--with-api-key"]) == 0
        assert server.params("account/login/start") == {"type": "apiKey", "apiKey": "sk-secret-1"}
    assert capsys.readouterr() == ("Logged in with an API key.\n", "")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no API key on stdin"),
        (b" \n\n", "no API key on stdin"),
        (b"sk-one\nsk-two\n", "does not hold an API key"),
        (b"\x7fELF\x00\xff", "does not hold an API key"),
    ],
)
def test_what_is_no_key_is_not_sent(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, data: bytes, words: str
) -> None:
    """An empty stdin, several lines or a binary file are a wrong command line, found before any daemon is asked."""
    pipe_in(monkeypatch, data)
    assert main(["login", "--with-api-key"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--with-api-key", "sk-secret-1"], "takes nothing; an API key is read from stdin"),
        (["--with-api-key=sk-secret-1"], "--with-api-key: takes no value"),
        (["--api-key=sk-secret-1"], "it has no option --api-key; did you mean --with-api-key?"),
        (["--api-key", "sk-secret-1"], "it has no option --api-key; did you mean --with-api-key?"),
    ],
)
def test_no_key_is_taken_from_the_command_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Every process can read argv, so no option takes a key; one that was given is not repeated."""
    assert main(["login", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "sk-secret-1" not in error
