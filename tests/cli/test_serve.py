"""`accountd serve`: what the command line becomes. What the daemon does with it is the daemon's to prove."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accountd import daemon
from accountd.cli import main


@pytest.mark.parametrize(
    ("arguments", "listen", "stdio", "log_level"),
    [
        ([], None, False, "info"),
        (["--listen", "stdio://", "--log-level", "debug"], None, True, "debug"),
        (["--listen", "unix:///run/a/s"], Path("/run/a/s"), False, "info"),
        (["--listen", "unix://s"], Path.cwd() / "s", False, "info"),
        (["--listen", "unix://~/s"], Path.home() / "s", False, "info"),
    ],
)
def test_the_daemon_gets_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], listen: Path | None, stdio: bool, log_level: str
) -> None:
    """The URL becomes an absolute path or stdio, without one the daemon chooses; its exit code is the command's."""
    called: list[tuple[Any, ...]] = []

    def serve(listen: Path | None, *, stdio: bool, log_level: str) -> int:
        called.append((listen, stdio, log_level))
        return 7

    monkeypatch.setattr(daemon, "main", serve)
    assert main(["serve", *arguments]) == 7
    assert called == [(listen, stdio, log_level)]
