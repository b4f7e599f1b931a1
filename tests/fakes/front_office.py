"""A home in which a whole app-server runs: a daemon, a real Codex, and the sandbox's issuer, backend and model."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from accountd.client.errors import NothingListens
from accountd.sandbox import Sandbox, Script
from accountd.sandbox.config import render_config
from compat import peers
from fakes.front_client import Client, connect
from fakes.npm import OutOfReach
from fakes.processes import PATIENCE, environment, sandbox_on_loopback, stop_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL: Final = "/backend-api/codex/responses"
APPROVED: Final = Script(approve_after_polls=0, interval=0)


def find_agents(home: Path) -> list[int]:
    """Find the agents of a home, npm's script among them, by the socket on their command lines."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"accountd" not in words and any(os.fsencode(home) in word for word in words):
                found.append(int(process.name))
    return found


class Office:
    """A home with a daemon, a codex and a sandbox, and what has happened there."""

    def __init__(self, home: Path, environ: dict[str, str], sandbox: Sandbox) -> None:
        self.home, self.environ, self.sandbox = home, environ, sandbox
        self.clients: list[Client] = []

    def connect(self, place: Path) -> Client:
        """Connect to a front's socket."""
        self.clients.append(connect(place))
        return self.clients[-1]

    def agents(self) -> list[int]:
        """Find the processes of agents here."""
        return find_agents(self.home)

    def wait_until_no_agent_runs(self) -> None:
        """Wait for the end of what a front has started."""
        deadline = time.monotonic() + PATIENCE
        while left := self.agents():
            assert time.monotonic() < deadline, left
            time.sleep(0.02)


@contextmanager
def open_office(home: Path, path: Path, version: str) -> Iterator[Office]:
    """Give one with this Codex; what runs there is ended. Skips the test where it cannot be had."""
    try:
        codex = peers.fetch(version)
    except OutOfReach as error:
        pytest.skip(str(error))
    sandbox = Sandbox(APPROVED)
    with sandbox_on_loopback(sandbox) as url:
        (home / "config.toml").write_text(render_config(url))
        environ = environment(
            home,
            HOME=str(home),
            XDG_RUNTIME_DIR=str(home / "run"),
            ACCOUNTD_SOCKET=str(path),
            ACCOUNTD_CODEX=str(codex),
            CODEX_APP_SERVER_LOGIN_ISSUER=url,
        )
        here = Office(home, environ, sandbox)
        try:
            yield here
        finally:
            for client in here.clients:
                client.close()
            with suppress(NothingListens):
                stop_daemon(path)
            for agent in here.agents():
                os.kill(agent, signal.SIGKILL)
