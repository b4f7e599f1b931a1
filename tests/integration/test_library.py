"""The library's examples, each a program of its own, against a real daemon and the sandbox's issuer."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.sandbox import Script
from fakes.processes import PATIENCE, running_with_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "client" / "examples"


@contextmanager
def example(name: str, socket: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run an example on a daemon's socket; end it after the block."""
    environ = {**os.environ, "ACCOUNTD_SOCKET": str(socket), "PYTHONUNBUFFERED": "1", **variables}
    command = [sys.executable, "-W", "error", str(EXAMPLES / name)]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("name", "account", "window"),
    [
        (
            "log_in.py",
            "ChatgptAccount(email='ada@example.com', plan_type='plus'",
            "RateLimitWindow(used_percent=42",
        ),
        ("log_in_blocking.py", "'email': 'ada@example.com'", "{'usedPercent': 42"),
    ],
)
def test_a_script_logs_in_and_reads_the_account_and_its_limits(
    home: Path, name: str, account: str, window: str
) -> None:
    """Ten lines: the page and the code, then who it is, and how much of the limit is used."""
    with running_with_sandbox(home, Script(approve_after_polls=1, interval=0)) as (daemon, _):
        with example(name, daemon.path) as script:
            out, err = script.communicate(timeout=PATIENCE)
    page, who, used = out.splitlines()
    assert page.startswith("Open http://127.0.0.1:")
    assert account in who
    assert used.startswith(window)
    assert err == ""


def test_a_script_on_asyncio_follows_its_login(home: Path) -> None:
    """Each step is told between the code and the account."""
    with running_with_sandbox(home, Script(approve_after_polls=1, interval=0)) as (daemon, _):
        with example("log_in_asyncio.py", daemon.path) as script:
            out, err = script.communicate(timeout=PATIENCE)
    _page, *steps, who = out.splitlines()
    assert steps == ["The login is waiting", "The login is exchanging", "The login is committing"]
    assert "ada@example.com" in who
    assert err == ""


def test_the_readme_shows_these_scripts() -> None:
    """What is in the README, and in docs/clients.md, is what is run here."""
    readme, clients = (ROOT / "README.md").read_text(), (ROOT / "docs" / "clients.md").read_text()
    assert f"```python\n{(EXAMPLES / 'log_in.py').read_text()}```" in readme
    for name in ("log_in_blocking.py", "log_in_with_browser.py", "follow.py", "log_in_asyncio.py"):
        assert f"```python\n{(EXAMPLES / name).read_text()}```" in clients, name


def test_a_browser_login(home: Path, loopback: None) -> None:
    """The browser that the library's user opens comes back to the daemon, and the block ends."""
    approve = f"{sys.executable} -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1])' %s"
    with running_with_sandbox(home, Script(authorize="approve")) as (daemon, _):
        with example("log_in_with_browser.py", daemon.path, BROWSER=approve) as script:
            assert script.communicate(timeout=PATIENCE) == ("logged in\n", "")


def test_following_an_account_across_a_login(home: Path) -> None:
    """A program that only listens sees the login of another client, step by step, and who it is then."""
    with running_with_sandbox(home, Script(approve_after_polls=0, interval=0)) as (daemon, _):
        with example("follow.py", daemon.path) as script:
            assert script.stdout is not None
            assert script.stdout.readline() == "None\n"
            with daemon.connect() as client:
                client.call("account/login/start", {"type": "chatgptDeviceCode"})
                heard = [script.stdout.readline() for _ in range(4)]
    assert heard[:3] == ["a login is waiting\n", "a login is exchanging\n", "a login is committing\n"]
    assert "ada@example.com" in heard[3]
