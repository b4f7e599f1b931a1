"""A real daemon whose files others have put there, or may write to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from fakes.processes import PATIENCE, environment, running

if TYPE_CHECKING:
    from pathlib import Path


def run(home: Path, *verb: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    command = [sys.executable, "-m", "accountd", *verb]
    environ = environment(home, ACCOUNTD_SOCKET=str(home / "s"), **variables)
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("kind", ["pipe", "device", "sparse file"])
def test_a_configuration_without_an_end_stops_nobody(kind: str, home: Path) -> None:
    """At the start it is one line, to the doctor a finding, and at SIGHUP a line in the log of a daemon that goes on."""
    path = home / "config.toml"
    words = "larger than 1048576 bytes" if kind == "sparse file" else "Not a regular file"
    with running(home) as daemon:
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case _:
                path.touch()
                os.truncate(path, 3 << 30)
        start = run(home, "serve")
        assert (start.returncode, start.stderr.count("\n")) == (1, 1)
        assert f"{path}: cannot be read: {words}" in start.stderr
        assert f"{path}: cannot be read: {words}" in run(home, "doctor").stdout
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)  # so that it is not at the same time as the next signal
        with daemon.connect() as client:
            assert client.call("account/read", {})["account"] is None
        assert f"{path}: cannot be read: {words}" in daemon.stop()
