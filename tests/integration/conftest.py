"""What the tests of real processes run under: an environment of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import NothingListens
from fakes.processes import daemon_pid

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
