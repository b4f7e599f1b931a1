"""What the tests of real processes run under: an environment of their own, and the ports of browser logins."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import NothingListens
from fakes.processes import PORTS, daemon_pid

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """Give an environment without a daemon; the daemon that a verb starts in it is ended."""
    home = Path(tempfile.mkdtemp(prefix="accountd-"))  # short enough for a socket's path
    path = home / "s"
    yield {**os.environ, "HOME": str(home), "CODEX_HOME": str(home / "codex"), "ACCOUNTD_SOCKET": str(path)}
    with contextlib.suppress(NothingListens):
        os.kill(daemon_pid(path), signal.SIGTERM)
        deadline = time.monotonic() + 10
        while path.exists():
            assert time.monotonic() < deadline, "the daemon does not stop"
            time.sleep(0.01)
    shutil.rmtree(home)


@pytest.fixture
def loopback() -> None:
    """Wait until nobody else has the ports of browser logins."""
    deadline = time.monotonic() + 30
    for port in PORTS:
        while True:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                    break
                except OSError:
                    assert time.monotonic() < deadline, f"port {port} is taken"
            time.sleep(0.05)
