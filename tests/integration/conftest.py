"""What the tests of real processes run under: an environment of their own, or a session of a desktop."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import NothingListens
from accountd.storage.keyring import KeyringStore
from accountd.storage.secret_service import SecretService
from fakes.desktop import Desktop, running_bus
from fakes.processes import stop_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """Give an environment without a daemon; the daemon that a verb starts in it is ended."""
    home = Path(tempfile.mkdtemp(prefix="accountd-"))  # short enough for a socket's path
    path = home / "s"
    yield {**os.environ, "HOME": str(home), "CODEX_HOME": str(home / "codex"), "ACCOUNTD_SOCKET": str(path)}
    with contextlib.suppress(NothingListens):
        stop_daemon(path)
    shutil.rmtree(home)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """Give a session without a keyring."""
    folder = Path(tempfile.mkdtemp(prefix="accountd-"))  # with a short path, for the sockets
    with contextlib.ExitStack() as cleaning:
        cleaning.callback(shutil.rmtree, folder, ignore_errors=True)
        desktop = Desktop(folder, cleaning.enter_context(running_bus(folder)))
        cleaning.callback(desktop.stop_keyring)
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", desktop.address)
        yield desktop


@pytest.fixture
def desktop(bare: Desktop) -> Desktop:
    """Give a session with an unlocked keyring."""
    bare.start_keyring()
    return bare


@pytest.fixture
def store(tmp_path: Path) -> KeyringStore:
    """Give a store on the keyring of the session."""
    return KeyringStore(tmp_path, SecretService())
