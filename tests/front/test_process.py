"""The process of an agent."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from accountd.front.process import run_private


def runs(process: int) -> bool:
    """Say whether a process does anything, as Linux tells it: whoever is to note its end may take a while."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="looks at a process as Linux tells of it")
async def test_what_a_killed_script_has_started_ends_with_the_client(tmp_path: Path) -> None:
    """One that npm installs; its program goes on without it, with the turns that are under way."""
    started = tmp_path / "pid"
    script = f"(trap '' TERM; exec sleep 20) & echo $! > {started}.new; mv {started}.new {started}; wait"
    async with run_private(["sh", "-c", script], {"PATH": os.environ["PATH"]}) as process:
        while not started.exists():  # noqa: ASYNC110  # nobody tells
            await trio.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    with trio.fail_after(5):
        while runs(int(started.read_text())):  # noqa: ASYNC110  # likewise
            await trio.sleep(0.01)
