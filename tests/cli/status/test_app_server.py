"""What is told of app-servers."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd import paths
from accountd.cli.status.app_server import find_app_servers
from accountd.system import foreign_servers
from accountd.system.foreign_servers import ForeignServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NONE = 1 << 30  # the number of no process
REPORT: dict[str, Any] = {
    "pid": 7,
    "sockets": ["/s"],
    "agents": [{"pid": NONE, "version": "0.171.0", "authMode": "apikey"}],
}


@pytest.fixture
def served(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a CODEX_HOME in which somebody serves plain codex, and an agent runs."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path.parent))
    environ = {**os.environ, "CODEX_HOME": str(path.parent)}
    places = (paths.control_socket(environ), f"{paths.agents_folder(environ)}/x/s")
    for place in places:
        Path(place).parent.mkdir(mode=0o700, parents=True)
    with socket.socket(socket.AF_UNIX) as front, socket.socket(socket.AF_UNIX) as agent:
        for listening, place in zip((front, agent), places, strict=True):
            listening.bind(place)
            listening.listen()
        yield str(path.parent)


def describe(home: str, *connected: Mapping[str, Any]) -> list[str]:
    """Give the lines."""
    found = find_app_servers(home, connected)
    return [line for server in found for line in server.describe()]


def test_those_that_are_connected_are_told_as_they_report_themselves(path: Path) -> None:
    """Where they listen, what they run, and with which login; one of pipes serves who has started it."""
    empty, here = str(path.parent), {"pid": os.getpid(), "sockets": [], "agents": []}
    assert describe(empty) == []
    assert describe(empty, REPORT, here) == [
        "pid 7, /s",
        f"runs Codex 0.171.0, pid {NONE}, logged in with an API key",
        f"pid {os.getpid()}, for the program that has started it",
    ]
    [told] = find_app_servers(empty, [REPORT])
    assert told.as_json() == {
        "pid": 7,
        "sockets": ("/s",),
        "foreign": None,
        "agents": [{"pid": NONE, "version": "0.171.0", "authMode": "apikey", "memory": None}],
    }


def test_the_others_are_found_where_they_listen(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once; and a server of Codex's own with what to do."""
    serves, runs = describe(served)
    assert serves == f"pid {os.getpid()}, {paths.control_socket({'CODEX_HOME': served})}"
    assert re.fullmatch(rf"Codex, pid {os.getpid()}(, \d+ MB)?, of an app-server that is not connected", runs)
    agent = {"pid": os.getpid(), "version": "0.171.0", "authMode": None}
    told = describe(served, {"pid": os.getpid(), "sockets": ["/s"], "agents": [agent]})
    assert told[0] == f"pid {os.getpid()}, /s"
    assert told[1].endswith("not logged in")
    assert len(told) == 2
    monkeypatch.setattr(foreign_servers, "find_foreign_servers", lambda _: [ForeignServer(os.getpid(), "daemon")])
    assert describe(served)[0].startswith(
        f"Codex's own daemon (pid {os.getpid()}) serves plain codex: `codex app-se"
    )
