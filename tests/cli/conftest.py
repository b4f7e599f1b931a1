"""An environment of its own for every test of the verbs: no test sees the person's login, daemon or browser."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

BROWSERS = ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY", "WSL_DISTRO_NAME", "WSL_INTEROP")
"""Variables that say something about the browser of whoever runs the tests."""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give an empty folder with a short name, since a socket's path has room for some hundred bytes."""
    folder = Path(tempfile.mkdtemp(prefix="accountd-"))
    for name in ("ACCOUNTD_SOCKET", "CODEX_HOME", "CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", *BROWSERS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BROWSER", "none")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    monkeypatch.setenv("COLUMNS", "80")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)  # a daemon may be removing its socket just now


@pytest.fixture
def path(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path where the verbs of a test look for the daemon."""
    monkeypatch.setenv("ACCOUNTD_SOCKET", str(home / "s"))
    return home / "s"
