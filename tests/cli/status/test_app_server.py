"""What is told of the app-server."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from accountd import paths
from accountd.cli.status.app_server import describe_app_server


def test_who_listens_is_told_with_pid_and_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who serves plain codex, and the agents; nothing where there are none."""
    home = str(path.parent)
    monkeypatch.setenv("XDG_RUNTIME_DIR", home)
    assert describe_app_server(home) == []
    environ = {**os.environ, "CODEX_HOME": home}
    places = (paths.control_socket(environ), f"{paths.agents_folder(environ)}/x/s")
    for place in places:
        Path(place).parent.mkdir(mode=0o700, parents=True)
    with socket.socket(socket.AF_UNIX) as front, socket.socket(socket.AF_UNIX) as agent:
        for listening, place in zip((front, agent), places, strict=True):
            listening.bind(place)
            listening.listen()
        serves, runs = describe_app_server(home)
    assert serves == f"serves plain codex, pid {os.getpid()}"
    assert re.fullmatch(rf"runs Codex, pid {os.getpid()}(, \d+ MB)?", runs)
