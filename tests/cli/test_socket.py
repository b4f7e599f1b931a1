"""`accountd socket`, and what is said of a wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from accountd.cli import exits, main, waiting
from fakes.app_server import AppServer

if TYPE_CHECKING:
    from pathlib import Path


def test_the_socket_is_told_without_asking_for_anything(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even for the account, whose workspace may be looked up; without a daemon it is an error."""
    with AppServer(path) as server:
        assert main(["socket"]) == exits.OK
        assert server.methods == []
    assert capsys.readouterr().out == f"{path}\n"
    assert main(["socket", "--no-start"]) == exits.NO_DAEMON
    assert capsys.readouterr().out == ""


def test_a_wait_is_told_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """After a moment, once; a script that reads stderr is not told."""
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    for is_terminal, said in ((True, "accountd: waiting for it\n"), (False, "")):
        monkeypatch.setattr("sys.stderr.isatty", lambda told=is_terminal: told)
        with waiting.waiting("it"):
            deadline = time.monotonic() + 5
            heard = ""
            while is_terminal and not heard and time.monotonic() < deadline:
                heard = capsys.readouterr().err
        assert heard == said
