"""The control socket of a front that is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.client.unix_socket import find_listener
from fakes.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child does not end with its parent"),
]

FRONT = """
import socket, sys, time
from pathlib import Path
from accountd.front.guard import run_guarded

def work():
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen()
        time.sleep(60)

sys.exit(run_guarded(work, Path(sys.argv[1])))
"""


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_not_there_while_the_front_is_stopped(path: Path, by: signal.Signals) -> None:
    """Whatever stops it; and the front ends with the process that was started, as that is told."""
    with subprocess.Popen([sys.executable, "-c", FRONT, str(path)]) as guard:
        wait_until(lambda: find_listener(path) is not None)
        front = find_listener(path)
        assert front is not None
        assert front != guard.pid
        os.kill(front, signal.SIGSTOP)
        wait_until(lambda: not path.exists())
        os.kill(front, signal.SIGCONT)
        guard.send_signal(by)
        assert guard.wait(PATIENCE) in (128 + by, -by)
        wait_until(lambda: not Path(f"/proc/{front}").exists())
