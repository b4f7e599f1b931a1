"""What a login, a file, a server or a folder has in it ends no daemon, and keeps none from starting."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd.client.errors import CallFailed
from accountd.sandbox import Claims, Sandbox, Script
from fakes.bundles import bundle
from fakes.processes import PATIENCE, Daemon, environment, running, sandbox_on_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

STRANGE = Claims(account_id="é", plan="enterprise")
"""Somebody whose workspace cannot be named in a header, and whose organisation is asked what it requires."""


class Case:
    """A daemon, what it asks, and how it is begun again."""

    def __init__(self, home: Path, sandbox: Sandbox, url: str) -> None:
        self.home = home
        self.sandbox = sandbox
        self.variables = {"CODEX_APP_SERVER_LOGIN_ISSUER": url}

    def write(self, claims: Claims) -> None:
        """Have a login in auth.json, as another program leaves it there."""
        self.sandbox.script = Script(claims=claims)
        tokens = self.sandbox.issue_tokens()
        texts = {name: getattr(tokens, name).reveal() for name in ("id_token", "access_token", "refresh_token")}
        document = {"auth_mode": "chatgpt", "tokens": texts | {"account_id": claims.account_id}}
        (self.home / "new").write_text(json.dumps(document))
        (self.home / "new").replace(self.home / "auth.json")


def ask(daemon: Daemon, *requests: tuple[str, object]) -> list[dict[str, Any]]:
    """Be a client of its own, which has all that there is; give the answers."""
    with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rwb") as stream:
        sock.settimeout(PATIENCE)
        sock.connect(str(daemon.path))
        hello = {"clientInfo": {"name": "tests", "version": "1"}, "capabilities": {"experimentalApi": True}}
        answers = []
        for number, (method, params) in enumerate([("initialize", hello), *requests]):
            stream.write(json.dumps({"id": number, "method": method, "params": params}).encode() + b"\n")
            stream.flush()
            while (message := json.loads(stream.readline())).get("id") != number or "method" in message:
                pass
            answers.append(message)
        return answers[1:]


def supply_tokens(case: Case, daemon: Daemon) -> None:
    """Hand in such tokens with one message."""
    case.sandbox.script = Script(claims=STRANGE)
    given = {
        "type": "chatgptAuthTokens",
        "accessToken": case.sandbox.issue_tokens().access_token.reveal(),
        "chatgptAccountId": "é",
        "chatgptPlanType": "enterprise",
    }
    ask(daemon, ("account/login/start", given))


def replace_file(case: Case, daemon: Daemon) -> None:
    """Have another program log in so."""
    case.write(STRANGE)
    time.sleep(0.2)  # so that the watch, which has nobody to tell of it, has looked


def refresh(case: Case, daemon: Daemon) -> None:
    """Have the issuer answer a refresh so."""
    case.write(Claims())
    case.sandbox.script = Script(claims=STRANGE)
    ask(daemon, ("account/read", {"refreshToken": True}))


@pytest.mark.parametrize("happen", [supply_tokens, replace_file, refresh])
def test_what_cannot_be_sent_ends_no_daemon(happen: Callable[[Case, Daemon], None], home: Path) -> None:
    """Who asks is answered, everybody else is served, and the next daemon starts as well."""
    sandbox = Sandbox()
    with sandbox_on_loopback(sandbox) as url:
        case = Case(home, sandbox, url)
        (home / "config.toml").write_text(f'chatgpt_base_url = "{url}/backend-api"\n')
        log = hold(case, happen)
        assert "Traceback" not in log
        log = hold(case, lambda *_: None)
        assert "Traceback" not in log


def hold(case: Case, happen: Callable[[Case, Daemon], None]) -> str:
    """Have something happen to a daemon, and hold it to its life; give its log."""
    with running(case.home, **case.variables) as daemon:
        happen(case, daemon)
        ask(daemon, ("configRequirements/read", None), ("account/read", {}))  # which wait for what is to be had
        time.sleep(0.2)  # for whatever might end it
        with daemon.connect() as other:
            assert other.call("accountd/status", None)
        log = daemon.stop()
        assert daemon.process.returncode == 0
    return log


NOBODY = """
import pwd, sys
def nobody(uid):
    raise KeyError(uid)
pwd.getpwuid = nobody
sys.argv = ["accountd", *sys.argv[1:]]
from accountd.cli import main
sys.exit(main())
"""
"""The command, for a user whom the system does not know."""


@pytest.mark.parametrize("variables", [{}, {"HOME": "~"}, {"HOME": "some/where"}, {"HOME": ""}])
def test_a_person_without_a_home_has_a_daemon(variables: dict[str, str], home: Path) -> None:
    """All that it needs is named."""
    environ = environment(home) | {"ACCOUNTD_SOCKET": str(home / "s")}
    del environ["HOME"]
    command = [sys.executable, "-c", NOBODY, "serve", "--listen", "stdio://"]
    hello = {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "tests", "version": "1"}}}
    done = subprocess.run(
        command,
        env=environ | variables,
        input=json.dumps(hello) + "\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["id"] == 1


UNFORESEEN = """
import sys
from accountd import daemon
def fail(*_):
    raise ValueError("Illegal header value b'Bearer sk-secret-secret'")
daemon.settings.load = fail
sys.argv = ["accountd", *sys.argv[1:]]
from accountd.cli import main
sys.exit(main())
"""
"""The command, where something fails at the start that nobody foresaw."""


@pytest.mark.parametrize("form", ["text", "json", "journald"])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_what_nobody_foresaw_at_the_start_is_one_line(form: str, level: str, home: Path) -> None:
    """With its class and place, in every format; and its text, which may have a token in it, in none."""
    done = subprocess.run(
        [sys.executable, "-c", UNFORESEEN, "serve", "--log-format", form, "--log-level", level],
        env=environment(home) | {"ACCOUNTD_SOCKET": str(home / "s")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd="/",
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "ended by a failure that nobody foresaw: ValueError at daemon.py:" in last
    if level == "info":
        assert done.stderr.splitlines() == [last]
    else:
        assert "(fail)" in done.stderr  # the way to it
    assert "secret-secret" not in done.stderr
    assert "Traceback" not in done.stderr


BROKEN = """
import os
from accountd.backend.client import Backend
async def fail_until_mended(*args):
    if not os.path.exists(os.environ["MENDED"]):
        raise eval(os.environ["FAILURE"])
    return os.environ["BUNDLE"].encode()
Backend.read_config_bundle = fail_until_mended
"""
"""What Python runs at the start of a daemon that has a bug, as long as there is a file."""


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("ValueError('Bearer sk-secret-secret')", "not foreseen: ValueError at "),
        (
            "UnicodeEncodeError('ascii', 'Bearer sk-secret-secret', 0, 1, '')",
            "not foreseen: UnicodeEncodeError at ",
        ),
        ("MemoryError()", "for want of room: out of memory"),
        ("ExceptionGroup('sk-secret-secret', [KeyError('sk-secret-secret')])", "not foreseen: KeyError at "),
    ],
)
def test_a_bug_in_the_background_is_an_answer_and_a_line(
    failure: str, words: str, home: Path, tmp_path: Path
) -> None:
    """Who waits is refused, everybody else is served, and when what was wrong is over the work is done."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    mended = tmp_path / "mended"
    sandbox = Sandbox()
    with sandbox_on_loopback(sandbox) as url:
        case = Case(home, sandbox, url)
        case.variables |= {"PYTHONPATH": str(tmp_path), "FAILURE": failure, "MENDED": str(mended)}
        case.variables["BUNDLE"] = bundle("allow_appshots = true").decode()
        (home / "config.toml").write_text(f'chatgpt_base_url = "{url}/backend-api"\n')
        case.write(Claims(plan="enterprise"))
        with running(home, **case.variables) as daemon, daemon.connect() as client:
            with pytest.raises(CallFailed, match="failed to read configuration layers"):
                client.call("configRequirements/read", None)
            assert client.call("accountd/status", None)
            mended.touch()
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    client.call("configRequirements/read", None)
                    break
                except CallFailed:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            log = daemon.stop()
    assert log.count(words) == 1
    assert "secret-secret" not in log
