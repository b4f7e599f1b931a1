"""Clients of the Codex app-server, written by others and unmodified, that start accountd in its place.

Each runs in an environment of its own, which `make test` makes, and reports what it saw. The steps are in
`stock_clients/story.py`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from accountd.codex.version import CODEX_VERSION
from accountd.sandbox import Script
from compat import peers
from fakes.npm import OutOfReach
from fakes.processes import PORTS, running_with_sandbox

TESTS = Path(__file__).parents[1]
VENV = TESTS.parent / ".venv"
ACCOUNTD = Path(sysconfig.get_path("scripts"), "accountd")

ADA = {"type": "chatgpt", "email": "ada@example.com", "planType": "plus"}
KEY = {"type": "apiKey"}


@pytest.fixture
def python() -> Path:
    """Give the interpreter of the stock clients' environment; where there is none, only CI may not go on."""
    if not (VENV / ".stock-clients").exists():
        reason = "the stock clients are not installed; `make test` does that, if they can be had"
        must_run = os.environ.get("CI") == "true"
        assert not must_run, reason
        pytest.skip(reason)
    return VENV / "stock-clients" / "bin" / "python"


def fetch_codex() -> Path | None:
    """Give the release that is followed, if it can be had."""
    try:
        return peers.fetch(CODEX_VERSION)
    except OutOfReach:
        return None


@pytest.mark.timeout(600)  # it may fetch the app-server
@pytest.mark.parametrize("name", ["openai_codex", "codex_app_server_client", "codex_agent_sdk"])
def test_a_stock_client_has_the_whole_account(name: str, python: Path, home: Path, loopback: None) -> None:
    """Logins by code, in the browser and by key, a cancel, reads and logouts: all as the client understands them.

    The official one has a turn as well. If there is no codex, it gets an error that it can read, and goes on.
    """
    codex = fetch_codex() if name == "openai_codex" else None
    script = Script(approve_after_polls=1, interval=0, authorize="approve")
    with running_with_sandbox(home, script) as (daemon, sandbox):
        done = subprocess.run(
            [python, "-m", f"stock_clients.{name}_driver", ACCOUNTD],
            env={
                **os.environ,
                "CODEX_HOME": str(home),
                "ACCOUNTD_SOCKET": str(daemon.path),
                "ACCOUNTD_CODEX": str(codex or "/there/is/none"),
                "PYTHONPATH": str(TESTS),
            },
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        log = daemon.stop()

    assert re.match(r"\w+/0\.\d+\.\d+ \(.*\) accountd/", report["userAgent"])
    assert report["nobody"] is None
    page, code, completed, account = report["device"]
    assert page.endswith("/codex/device")
    assert re.fullmatch(r"[A-Z0-9]{4}-[A-Z0-9]{4,5}", code)
    assert (completed, account) == ([True, None], ADA)
    assert (report["refreshed"], report["loggedOut"]) == (ADA, None)
    page, landed, completed, account = report["browser"]
    assert "/oauth/authorize?" in page
    assert landed in [f"http://127.0.0.1:{port}/success" for port in PORTS]
    assert (completed, account) == ([True, None], ADA)
    status, (success, error), again = report["cancelled"]
    assert (status, success, again) == ("canceled", False, "notFound")
    assert "not completed" in error
    assert "JSON-RPC error -32" in report["agent"] if codex is None else report["agent"] == "hello"
    assert (report["key"], report["end"]) == (KEY, None)

    assert [request.path for request in sandbox.requests].count("/oauth/revoke") == 2  # one for each ChatGPT login
    assert not (home / "auth.json").exists()
    assert "sk-stock" not in log
    assert "Traceback" not in log
