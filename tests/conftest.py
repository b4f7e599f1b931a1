"""What every test runs under."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from accountd.config.env_file import TAKEN
from fakes.processes import PORTS
from fakes.turns import turn

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["fakes.canaries"]

# The same examples on every machine and in every run: a failure is there again the next time, and time is no
# part of it. `--hypothesis-profile=default` looks for new ones.
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,  # of each property; the whole suite takes seconds
    suppress_health_check=[HealthCheck.too_slow],  # which is about time as well
)
settings.load_profile("steady")

BROWSERS = ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY", "WSL_DISTRO_NAME", "WSL_INTEROP")
"""Variables that say something about the browser of whoever runs the tests."""

TERMINALS = ("NO_COLOR", "TMUX", "STY")
"""And about their terminal."""

HERE = Path(__file__).parent
PROCESSES = {"compat", "contrib", "integration", "peer", "typescript"}
"""Folders in which every test may start a process. Elsewhere a test that does says so by `pytest.mark.process`."""

MATRICES = {"cancellation", "faults", "model"}
"""Folders in which a test goes through everything that can happen at each step of something."""

STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make quick` leaves out."""
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in PROCESSES | MATRICES:
            item.add_marker(pytest.mark.process if folder in PROCESSES else pytest.mark.matrix)


_forbidden: set[str] = set()  # now; an audit hook is there for good


def _watch_starts(event: str, _: object) -> None:
    if event in _forbidden:
        raise AssertionError("a test that starts a process says so: pytest.mark.process")


sys.addaudithook(_watch_starts)


@pytest.fixture(autouse=True)
def _starts(request: pytest.FixtureRequest) -> Iterator[None]:
    if not any(mark.name in {"process", "matrix"} for mark in request.node.iter_markers()):
        _forbidden.update(STARTS)
    yield
    _forbidden.clear()


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give an environment of its own to a test of what looks at it: no login, daemon or browser of the person.

    It is an empty folder with a short name, since a socket's path has room for some hundred bytes.
    """
    folder = Path(tempfile.mkdtemp(prefix="accountd-"))
    for name in ("ACCOUNTD_SOCKET", "CODEX_HOME", "CODEX_CA_CERTIFICATE", *TAKEN, *BROWSERS, *TERMINALS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BROWSER", "none")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    monkeypatch.setenv("COLUMNS", "80")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)  # a daemon may be removing its socket just now


@pytest.fixture
def path(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path where the clients of a test look for the daemon."""
    monkeypatch.setenv("ACCOUNTD_SOCKET", str(home / "s"))
    return home / "s"


@pytest.fixture
def loopback() -> Iterator[None]:
    """Have the ports of browser logins for a test, once nobody else has them."""
    with turn("ports"):
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
        yield
