"""`accountd logout`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli import main
from fakes.app_server import AppServer, Refusal

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_logs_out(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon is asked once, and the person is told."""
    with AppServer(path, {"account/logout": {}}) as server:
        assert main(["logout"]) == 0
        assert server.methods == ["accountd/status", "account/logout"]
    assert capsys.readouterr() == ("Logged out.\n", "")


def test_it_forgets(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--forget` the daemon is asked for that alone, and the person is told what was not done."""
    with AppServer(path, {"account/forget": {}}) as server:
        assert main(["logout", "--forget"]) == 0
        assert server.methods == ["accountd/status", "account/forget"]
    assert capsys.readouterr() == ("Logged out on this machine; the login was not revoked.\n", "")


def test_a_failure_is_told_in_the_daemons_words(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error response is one line on stderr, and exit code 1."""
    with AppServer(path, {"account/logout": Refusal(-32603, "logout failed: Read-only file system")}):
        assert main(["logout"]) == 1
    assert capsys.readouterr() == ("", "accountd: logout failed: Read-only file system\n")
