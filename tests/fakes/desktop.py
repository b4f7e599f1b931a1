"""A session of a desktop: a bus of its own, and GNOME's keyring, which may be on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from accountd.secret import Secret
from accountd.storage.base import api_key_record
from fakes.processes import PATIENCE

if TYPE_CHECKING or sys.platform == "linux":
    import secretstorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from accountd.storage.auto import AutoStore
    from accountd.storage.keyring import KeyringStore

MISSING = [name for name in ("dbus-daemon", "gnome-keyring-daemon") if shutil.which(name) is None]

NEEDED = [
    pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is the keyring of Linux"),
    pytest.mark.skipif(
        bool(MISSING) and "CI" not in os.environ,
        reason=f"no {' and no '.join(MISSING)} here; install Debian's packages `dbus` and `gnome-keyring`",
    ),
]
"""The marks of tests that need one."""

BUS = """<busconfig>
  <type>session</type>
  <listen>unix:dir={folder}</listen>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>"""
"""A bus that starts nothing by itself: no service but the ones of a test, and no window for a password."""


class Desktop:
    """A session bus, and the keyring that may be on it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.address = address
        self._folder = folder
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """What makes a program part of this session."""
        return {"DBUS_SESSION_BUS_ADDRESS": self.address}

    def start_keyring(self, *, login: bool = True) -> None:
        """Start GNOME's keyring with an unlocked login collection, or with none; wait until it is on the bus."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "XDG_RUNTIME_DIR": str(self._folder),
            **self.variables,
        }
        command = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
        self._daemon = subprocess.Popen(
            [*command, "--unlock"] if login else command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert self._daemon.stdin is not None
        with self._daemon.stdin as password:
            password.write(b"password")
        deadline = time.monotonic() + PATIENCE
        while not self._is_up(login):
            assert self._daemon.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _is_up(self, login: bool) -> bool:
        with closing(secretstorage.dbus_init()) as connection:
            if not secretstorage.check_service_availability(connection):
                return False
            try:
                return not secretstorage.Collection(connection).is_locked()
            except secretstorage.ItemNotFoundException:
                return not login

    def signal_keyring(self, number: int) -> None:
        """Send the keyring a signal."""
        assert self._daemon is not None
        self._daemon.send_signal(number)

    def stop_keyring(self) -> None:
        """End the keyring."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait(PATIENCE)

    def lock(self) -> None:
        """Lock the collection, as a screen saver may."""
        with closing(secretstorage.dbus_init()) as connection:
            secretstorage.Collection(connection).lock()

    def items(self, account: str) -> list[tuple[dict[str, str], bytes]]:
        """Give attributes and document of what Codex would find."""
        with closing(secretstorage.dbus_init()) as connection:
            query = {"service": "Codex Auth", "username": account}
            found = secretstorage.search_items(connection, query)
            return [(item.get_attributes(), item.get_secret()) for item in found]

    def put(self, attributes: dict[str, str], document: bytes) -> None:
        """Put an item there as another program does."""
        with closing(secretstorage.dbus_init()) as connection:
            secretstorage.Collection(connection).create_item("made by another", attributes, document)


@contextmanager
def running_bus(folder: Path) -> Iterator[str]:
    """Run a session bus, and give its address."""
    (folder / "bus.conf").write_text(BUS.format(folder=folder))
    command = ["dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork", "--print-address"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def save(store: KeyringStore | AutoStore, key: str = "sk-new") -> None:
    """Save as the account service does."""
    async with store.locked():
        await store.save(api_key_record(Secret(key)))
