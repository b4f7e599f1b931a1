"""The client with which crowds are measured, against a real daemon."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.crowd import idle
from bench.process import Server
from bench.wire import READ
from fakes.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.wire import Kind


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a CODEX_HOME with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="accountd-"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["ndjson", "ws"])
def test_it_is_answered_in_either_framing(kind: Kind, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it measures is a client that is served; and an idle one takes memory, but less than 25 KB."""
    with running(home) as daemon:
        server = Server(daemon.process.pid, str(daemon.path), kind)
        client = server.connect()
        for _ in range(3):
            client.call(READ)
        client.close()
        if Path("/proc/self/smaps_rollup").exists():
            monkeypatch.setattr("bench.process.time.sleep", lambda _: None)
            assert 5 << 10 < idle(server, 200) < 25 << 10
