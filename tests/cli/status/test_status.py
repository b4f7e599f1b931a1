"""`accountd status`: what is said of every kind of login, and the exit code that scripts go by."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from accountd.cli import main
from accountd.cli.status import told
from accountd.client.blocking_connection import BlockingConnection
from accountd.storage.document import render_record
from fakes.app_server import INITIALIZED, AppServer, Message, Raw, Refusal, Script
from fakes.usage import make_record

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.terminal import Terminal

CHATGPT = {"type": "chatgpt", "email": "dev@example.com", "planType": "pro", "workspaceName": "Personal"}

STORE = {"kind": "file", "location": "/home/someone/.codex/auth.json", "note": None}

DAEMON = {"version": "0.1.0", "pid": 4711, "uptimeSeconds": 7384.5, "counters": {"clientsCut": 0}}


def script(account: Message | Refusal | None, mode: str | None) -> Script:
    """Write the answers of a daemon in this state."""
    read = account if isinstance(account, Refusal) else {"account": account, "requiresOpenaiAuth": True}
    return {
        "account/read": read,
        "getAuthStatus": {"authMethod": mode, "authToken": None},
        "account/store/read": STORE,
        "accountd/status": DAEMON,
    }


def test_a_chatgpt_login_is_told_in_full(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who, how, plan and workspace; then the daemon's home, socket and protocol version. Exit code 0."""
    with AppServer(path, script(CHATGPT, "chatgpt")) as server:
        assert main(["status"]) == 0
        assert server.params("account/read") == {"refreshToken": False}
    assert capsys.readouterr().out.splitlines() == [
        "Logged in with ChatGPT as dev@example.com.",
        "",
        "Plan        pro",
        "Workspace   Personal",
        "Store       file, /home/someone/.codex/auth.json",
        "CODEX_HOME  /home/someone/.codex",
        f"Socket      {path}",
        "Protocol    Codex 0.171.0",
        "Daemon      accountd 0.1.0, pid 4711, up 2 h 3 min",
    ]


@pytest.mark.parametrize(
    ("token_socket", "row"),
    [
        (
            {"path": "/box/s", "trouble": None, "connections": 2, "tokensHandedOut": 9},
            "2 connected at /box/s, 9",
        ),
        ({"path": "/box/s", "trouble": "a file is there"}, "cannot connect: a file is there"),
    ],
)
def test_a_token_socket_is_told_of(
    path: Path, capsys: pytest.CaptureFixture[str], token_socket: Message, row: str
) -> None:
    """Whether containers can connect, and what they were given."""
    with AppServer(path, script(None, None) | {"accountd/status": {**DAEMON, "tokenSocket": token_socket}}):
        assert main(["status"]) == 3
    assert f"Containers  {row}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "headline", "code"),
    [
        (script(None, None), "Not logged in. Log in with `accountd login`.", 3),
        (
            script(None, None) | {"account/read": {"account": None, "requiresOpenaiAuth": False}},
            "Clients are told of no login, since the model provider in config.toml needs none.",
            3,
        ),
        (
            script(None, "chatgpt"),
            "Not logged in: the login that is stored here is no longer accepted. "
            "Log in again with `accountd login`.",
            4,
        ),
        (script({"type": "apiKey"}, "apikey"), "Logged in with an API key.", 0),
        (script({**CHATGPT, "email": None}, "chatgpt"), "Logged in with ChatGPT.", 0),
        (
            script(CHATGPT, "chatgptAuthTokens"),
            "Logged in with ChatGPT as dev@example.com, with tokens that another program refreshes.",
            0,
        ),
        (
            script(Refusal(-32603, "workspace routing discovery failed"), "chatgpt"),
            "Logged in with ChatGPT (workspace details are unavailable: workspace routing discovery failed).",
            0,
        ),
    ],
)
def test_every_state_has_its_sentence_and_its_code(
    path: Path, capsys: pytest.CaptureFixture[str], answers: Script, headline: str, code: int
) -> None:
    """The first line says who is logged in and how; 0 means somebody, 3 nobody, 4 a login of the past."""
    with AppServer(path, answers):
        assert main(["status"]) == code
    assert capsys.readouterr().out.splitlines()[0] == headline


@pytest.mark.parametrize(
    ("answers", "expected", "code"),
    [
        (
            script(CHATGPT, "chatgpt"),
            {"loggedIn": True, "needsLogin": False, "authMode": "chatgpt", "email": "dev@example.com"},
            0,
        ),
        (
            script(None, None),
            {"loggedIn": False, "needsLogin": False, "authMode": None, "email": None, "planType": None},
            3,
        ),
        (script(None, "chatgpt"), {"loggedIn": False, "needsLogin": True, "authMode": None}, 4),
        (
            script(Refusal(-32603, "timed out"), "chatgpt"),
            {"loggedIn": True, "authMode": "chatgpt", "detailsError": "timed out"},
            0,
        ),
    ],
)
def test_json_has_the_same_facts(
    path: Path, capsys: pytest.CaptureFixture[str], answers: Script, expected: dict[str, Any], code: int
) -> None:
    """`--json` prints one object, with the members always there, and the exit code stays the same."""
    with AppServer(path, answers):
        assert main(["status", "--json"]) == code
    status = json.loads(capsys.readouterr().out)
    assert {**status, **expected} == status
    assert {
        **status,
        "codexHome": "/home/someone/.codex",
        "socket": str(path),
        "protocolVersion": "0.171.0",
        "daemon": DAEMON,
    } == status
    assert {"workspaceName", "detailsError"} <= status.keys()


def test_what_is_not_usual_is_told_and_what_is_otherwise_here(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who started the daemon has decided where tokens go for everybody; a shell that differs is told so."""
    there = {"CODEX_APP_SERVER_LOGIN_ISSUER": "http://127.0.0.1:4500", "HTTPS_PROXY": "http://proxy:3128"}
    answers = script(None, None)
    answers["accountd/status"] = {**DAEMON, "environment": there, "backendUrl": "http://127.0.0.1:4500/backend-api"}
    for name, value in there.items():
        monkeypatch.setenv(name, value)
    with AppServer(path, answers):
        main(["status"])
        out = capsys.readouterr().out
        assert "Backend     http://127.0.0.1:4500/backend-api\n" in out
        told = "CODEX_APP_SERVER_LOGIN_ISSUER=http://127.0.0.1:4500\n            HTTPS_PROXY=http://proxy:3128\n"
        assert f"Environment {told}" in out
        main(["status", "--json"])
        assert json.loads(capsys.readouterr().out)["environmentDiffers"] == []
        monkeypatch.setenv("HTTPS_PROXY", "http://ada:hunter2@other:3128")
        main(["status"])
        out = capsys.readouterr().out
        advice = "another HTTPS_PROXY here: `accountd restart` has the daemon take it"
        assert f"Environment {told}            {advice}\n" in out
        assert "hunter2" not in out
        main(["status", "--json"])
        assert json.loads(capsys.readouterr().out)["environmentDiffers"] == ["HTTPS_PROXY"]


def test_an_older_daemon_is_shown_without_what_it_cannot_tell(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `accountd/status` there is no row of it, and in JSON a null; the rest is as ever."""
    answers = script(CHATGPT, "chatgpt")
    del answers["accountd/status"]
    with AppServer(path, answers):
        assert main(["status"]) == 0
        assert "\nDaemon" not in capsys.readouterr().out
        assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["daemon"] is None


def test_a_read_that_fails_for_nobody_is_an_error(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When `account/read` fails and there is no ChatGPT login to excuse it, its message is the error."""
    with AppServer(path, script(Refusal(-32603, "disk on fire"), None)):
        assert main(["status"]) == 1
    assert capsys.readouterr() == ("", "accountd: disk on fire\n")


def test_text_from_elsewhere_cannot_steer_the_terminal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in an address or a name are shown as such, and a name stays on its line."""
    evil = {**CHATGPT, "email": "a\x1b]0;b\x07@c", "workspaceName": "x\nPlan  free\u202e"}
    with AppServer(path, script(evil, "chatgpt")):
        main(["status"])
    out = capsys.readouterr().out
    assert "ChatGPT as a�]0;b�@c." in out
    assert "Workspace   x Plan free�\n" in out


@pytest.mark.parametrize(
    ("silent", "left", "code", "lines", "err"),
    [
        (
            "account/read",
            3600,
            0,
            ["Logged in with ChatGPT as ada@example.com (workspace details are unavailable:", "Daemon      acc"],
            "",
        ),
        ("account/read", -60, 1, ["The access token has expired, and the issuer cannot be", "Daemon      acc"], ""),
        (
            "account/store/read",
            3600,
            1,
            ["Logged in with ChatGPT as ada@example.com.", "Daemon      does not answer"],
            "did not answer within 0.05 seconds; `accountd doctor` says more\n",
        ),
    ],
)
def test_what_is_known_is_told_when_nobody_answers(
    *,
    silent: str,
    left: float,
    code: int,
    lines: list[str],
    err: str,
    path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Be it whom the daemon asks, or the daemon itself: from its memory, and from what is stored."""
    codex = home / ".codex"
    codex.mkdir(mode=0o700)
    (codex / "auth.json").write_bytes(render_record(make_record()))
    (codex / "auth.json").chmod(0o600)
    monkeypatch.setattr(told, "PATIENCE", 0.05)
    monkeypatch.setattr(BlockingConnection.call, "__defaults__", (None, 0.05))
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy:3128")
    credential = {"mode": "chatgpt", "expiresAt": time.time() + left}
    answers = script(None, "chatgpt") | {"accountd/status": {**DAEMON, "credential": credential}, silent: None}
    with AppServer(path, answers, greeting={**INITIALIZED, "codexHome": str(codex)}):
        assert main(["status"]) == code
    said = capsys.readouterr()
    for line in (*lines, "Plan        pro", "Store       file, ", "Token       ", f"CODEX_HOME  {codex}"):
        assert f"\n{line}" in f"\n{said.out}"
    assert said.err.endswith(err)
    assert "secret" not in said.out
    assert ("HTTPS_PROXY=http://proxy:3128" in said.out) == (silent != "account/read")


def test_garbage_is_one_line_on_stderr(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What listens there but is no daemon is named as such; exit code 1."""
    with AppServer(path, greeting=Raw(b"220 smtp.example.com\r\n")):
        assert main(["status"]) == 1
    text = f"accountd: the daemon at {path} sent something that is not JSON; is it an accountd?\n"
    assert capsys.readouterr() == ("", text)


def test_another_codex_home_is_warned_of(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who sets CODEX_HOME and reaches the daemon of another one is told both; a link to the same is the same."""
    served, link = tmp_path / "served", tmp_path / "link"
    served.mkdir()
    link.symlink_to(served)
    with AppServer(path, script(None, None), greeting={**INITIALIZED, "codexHome": str(served)}):
        monkeypatch.setenv("CODEX_HOME", str(tmp_path / "mine"))
        assert main(["status"]) == 3
        warning = capsys.readouterr().err
        named = f"CODEX_HOME is {tmp_path}/mine, but the daemon at {path} owns the login of {served}"
        assert warning == f"accountd: warning: {named}\n"
        for value in (str(link), ""):
            monkeypatch.setenv("CODEX_HOME", value)
            main(["status"])
            assert capsys.readouterr().err == ""


@pytest.mark.process
@pytest.mark.parametrize(
    ("answers", "code", "headline"),
    [
        (script(CHATGPT, "chatgpt"), 0, "\x1b[1m\x1b[32mLogged in with ChatGPT as\x1b[0m\x1b[0m\r\n"),
        (script(None, None), 3, "\x1b[1m\x1b[33mNot logged in. Log in with\x1b[0m\x1b[0m\r\n"),
        (script(None, "chatgpt"), 4, "\x1b[1m\x1b[31mNot logged in: the login that is stored\x1b[0m\x1b[0m\r\n"),
    ],
)
def test_a_terminal_shows_it_in_its_width_and_its_colours(
    path: Path, run: type[Terminal], answers: Script, code: int, headline: str
) -> None:
    """The first line stands out, labels step back, and what is too long is folded between words."""
    with AppServer(path, answers):
        terminal = run("status", columns=40, NO_COLOR="")
        assert terminal.wait() == code
    assert terminal.screen.startswith(headline)
    store = "\x1b[2mStore       \x1b[0mfile,\r\n            /home/someone/.codex/auth.json\r\n"
    assert store in terminal.screen


@pytest.mark.process
def test_no_color_leaves_the_text(path: Path, run: type[Terminal]) -> None:
    """On a terminal with NO_COLOR there is what a pipe gets."""
    with AppServer(path, script(CHATGPT, "chatgpt")):
        terminal = run("status", NO_COLOR="1")
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.screen
    assert terminal.screen.startswith("Logged in with ChatGPT as dev@example.com.\r\n\r\nPlan        pro\r\n")
