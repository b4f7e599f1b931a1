"""`accountd token`: how a token is asked for, every form in which it is printed, and the exit codes without one."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.cli import main, token
from accountd.cli.selecting import Selected, Wish
from fakes.app_server import AppServer, Message, Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.client.results import ReadTokenResponse

CHATGPT: Message = {
    "authMode": "chatgpt",
    "token": "eyJ0.eyJ1.c2ln",
    "expiresAt": 1790000000.0,
    "chatgptAccountId": "account-1",
}
EXTERNAL: Message = {**CHATGPT, "authMode": "chatgptAuthTokens", "expiresAt": None}
API_KEY: Message = {"authMode": "apikey", "token": "sk-1", "expiresAt": None, "chatgptAccountId": None}
ODD: Message = {**API_KEY, "token": 'it\'s $HOME \\ "`id`"'}
BEARER = "Authorization: Bearer"


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ([], 300),
        (["--min-valid", "90"], 90),
        (["--min-valid", "90s"], 90),
        (["--min-valid=5m"], 300),
        (["--min-valid", "1h"], 3600),
        (["--min-valid", "24h"], 86_400),
        (["--min-valid", "0"], 0),
    ],
)
def test_a_token_is_asked_for(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], seconds: int
) -> None:
    """One request, for as long as is wanted, five minutes unless it is said; the token is all that is printed."""
    with AppServer(path, {"account/token/read": CHATGPT}) as server:
        assert main(["token", *arguments]) == 0
        assert server.methods == ["accountd/accounts/list", "account/token/read"]
        assert server.params("account/token/read") == {"minValidSeconds": seconds}
    assert capsys.readouterr() == ("eyJ0.eyJ1.c2ln\n", "")


@pytest.mark.parametrize(
    "duration", ["", "m", "-1", "1.5h", "5 m", "5d", "1h30m", "86401", "1441m", "25h", "9" * 5000, "\u0665m"]
)
def test_what_is_no_duration_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str], duration: str) -> None:
    """No units but s, m and h, no more than 24 hours: exit code 2 before any daemon is asked."""
    assert main(["token", "--min-valid", duration]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("accountd token: --min-valid: must be seconds")


@pytest.mark.parametrize(
    ("form", "answer", "lines"),
    [
        ("raw", API_KEY, ["sk-1"]),
        ("header", CHATGPT, [f"{BEARER} eyJ0.eyJ1.c2ln"]),
        ("header", API_KEY, [f"{BEARER} sk-1"]),
        ("curl", API_KEY, [f'header = "{BEARER} sk-1"']),
        ("curl", ODD, [f'header = "{BEARER} it\'s $HOME \\\\ \\"`id`\\""']),
        (
            "curl",
            CHATGPT,
            [f'header = "{BEARER} eyJ0.eyJ1.c2ln"', 'header = "ChatGPT-Account-Id: account-1"'],
        ),
        ("env", API_KEY, ["export OPENAI_API_KEY=sk-1"]),
        (
            "env",
            EXTERNAL,
            ["export CHATGPT_ACCESS_TOKEN=eyJ0.eyJ1.c2ln", "export CHATGPT_ACCOUNT_ID=account-1"],
        ),
        ("env", {**CHATGPT, "chatgptAccountId": None}, ["export CHATGPT_ACCESS_TOKEN=eyJ0.eyJ1.c2ln"]),
    ],
)
def test_every_form_is_what_its_reader_takes(
    path: Path, capsys: pytest.CaptureFixture[str], form: str, answer: Message, lines: list[str]
) -> None:
    """A line, a header, curl's configuration with its quoting, or exports with the shell's."""
    with AppServer(path, {"account/token/read": answer}):
        assert main(["token", "--format", form]) == 0
    out, err = capsys.readouterr()
    assert (out.splitlines(), out[-1], err) == (lines, "\n", "")


@pytest.mark.parametrize("answer", [CHATGPT, EXTERNAL, API_KEY])
def test_json_has_all_members(path: Path, capsys: pytest.CaptureFixture[str], answer: Message) -> None:
    """`--format json` is one object on a line, with the members that the daemon gave and null where it has none."""
    with AppServer(path, {"account/token/read": {**answer, "somethingNew": 1}}):
        assert main(["token", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {**answer, "accountId": None}


@pytest.mark.process
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40))
def test_a_shell_that_evals_it_has_the_key(text: str) -> None:
    """Whatever is in a key, the shell takes it for a value and nothing else."""
    answer = cast("ReadTokenResponse", {**API_KEY, "token": text})
    lines = token._FORMATS["env"](answer, Selected(Wish("active")))
    command = ["sh", "-c", 'eval "$1"; printf %s "$OPENAI_API_KEY"', "sh", lines]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    assert (done.stdout, done.stderr) == (text, "")


@pytest.mark.parametrize("form", ["raw", "env", "header", "curl"])
@pytest.mark.parametrize("member", ["token", "chatgptAccountId"])
@pytest.mark.parametrize("value", ["a\nX-Evil: 1", "a\x1b]0;b\x07", "a\u2028b"])
def test_no_second_line_is_smuggled_in(
    path: Path, capsys: pytest.CaptureFixture[str], form: str, member: str, value: str
) -> None:
    """A token that no header can have is printed as JSON alone, and is not in the error either."""
    answer = {**CHATGPT, member: value}
    with AppServer(path, {"account/token/read": answer}):
        assert main(["token", "--format", form]) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "has characters in it that no header can have" in err
        assert main(["token", "--format", "json"]) == 0
        out = capsys.readouterr().out
        assert out.isascii()
        assert json.loads(out) == {**answer, "accountId": None}


@pytest.mark.parametrize(
    ("refusal", "error", "code"),
    [
        (
            Refusal(-32600, "nobody is logged in", "notLoggedIn"),
            "not logged in. Log in with `accountd login`.",
            3,
        ),
        (
            Refusal(-32603, "the login that is stored is no longer accepted; log in again", "refreshRefused"),
            "not logged in: the login that is stored here is no longer accepted. "
            "Log in again with `accountd login`.",
            4,
        ),
        (
            Refusal(-32603, "no token can be had that is good for 300 s", "requestFailed"),
            "no token can be had that is good for 300 s",
            1,
        ),
        (
            Refusal(-32603, "Failed to refresh token: 500 Internal Server Error: x\ny"),
            "Failed to refresh token: 500 Internal Server Error: x y",
            1,
        ),
    ],
)
def test_without_a_token_the_exit_code_says_what_to_do(
    path: Path, capsys: pytest.CaptureFixture[str], refusal: Refusal, error: str, code: int
) -> None:
    """Log in: 3. Log in again: 4. Anything else: 1. Always one line on stderr, and nothing on stdout to take."""
    with AppServer(path, {"account/token/read": refusal}):
        assert main(["token"]) == code
    assert capsys.readouterr() == ("", f"accountd: {error}\n")
