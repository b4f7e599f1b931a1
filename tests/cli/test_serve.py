"""`accountd serve`: what the command line becomes. What the daemon does with it is the daemon's to prove."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accountd import daemon
from accountd.cli import exits, main


@pytest.mark.parametrize(
    ("arguments", "asked_for"),
    [
        ([], (None, False, "info", None, None, True, None, False)),
        (["--listen", "stdio://", "--log-level", "debug"], (None, True, "debug", None, None, True, None, False)),
        (["--listen", "unix:///run/a/s"], (Path("/run/a/s"), False, "info", None, None, True, None, False)),
        (["--listen", "unix://s"], (Path.cwd() / "s", False, "info", None, None, True, None, False)),
        (["--listen", "unix://~/s"], (Path.home() / "s", False, "info", None, None, True, None, False)),
        (["--log-format", "json"], (None, False, "info", "json", None, True, None, False)),
        (["--no-audit-log"], (None, False, "info", None, None, False, None, False)),
        (["--token-socket", "unix://t"], (None, False, "info", None, Path.cwd() / "t", True, None, False)),
        (["--on-demand"], (None, False, "info", None, None, True, None, True)),
        (["--exit-when-idle", "600"], (None, False, "info", None, None, True, 600, False)),
    ],
)
def test_the_daemon_gets_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], asked_for: tuple[Any, ...]
) -> None:
    """A URL becomes an absolute path or stdio, without one the daemon chooses; how it ended is an exit code."""
    called: list[tuple[Any, ...]] = []

    def serve(listen: Path | None, **options: object) -> daemon.End:
        called.append((listen, *options.values()))
        return "upgraded"

    monkeypatch.setattr(daemon, "main", serve)
    assert main(["serve", *arguments]) == exits.UPGRADED
    assert called == [asked_for]
