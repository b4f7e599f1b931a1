"""A real Secret Service that is locked, bare, gone or silent, or that is not there at all."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
import trio

from accountd.errors import KeyringAbsent, KeyringError, KeyringLocked, StorageError
from accountd.secret import Secret
from accountd.storage.base import api_key_record
from accountd.storage.keyring import KeyringStore
from accountd.storage.secret_service import SecretService
from fakes.desktop import NEEDED, save
from fakes.keyring import RECORD
from fakes.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.desktop import Desktop

pytestmark = NEEDED

T = TypeVar("T")


async def test_a_locked_collection_is_an_error_at_once(desktop: Desktop, store: KeyringStore) -> None:
    """No password is asked for, and nothing is taken for a logout, whether or not something is there."""
    desktop.lock()
    for _ in range(2):
        for operation in (store.load, lambda: store.save(RECORD)):
            with pytest.raises(KeyringLocked, match='unlock it, or set cli_auth_credentials_store = "file"'):
                await operation()
        desktop.stop_keyring()
        desktop.start_keyring()
        await save(store)
        desktop.lock()
    with pytest.raises(StorageError, match="may still be in the keyring: the keyring is locked"):
        await store.delete()


async def test_a_keyring_without_a_collection(bare: Desktop, store: KeyringStore) -> None:
    """One that was never set up holds nothing, and the person is told what it lacks; no window asks for it."""
    bare.start_keyring(login=False)
    assert await store.load() is None
    with pytest.raises(KeyringError, match="no default collection; make one, or set cli_auth_credentials_store"):
        await store.save(RECORD)
    await store.delete()


async def test_a_missing_library_is_no_empty_keyring(store: KeyringStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra; where there is a bus, there may be a keyring, which is not taken for none."""
    monkeypatch.setitem(sys.modules, "secretstorage", None)
    for variable, kind in (("", KeyringAbsent), ("unix:path=/somewhere", KeyringError)):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", variable)
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
        with pytest.raises(KeyringError, match=r"install it with its extra, `accountd\[keyring\]`, or") as caught:
            await store.load()
        assert type(caught.value) is kind


async def test_no_service_on_the_bus(bare: Desktop, store: KeyringStore) -> None:
    """A session without a keyring is told from one whose keyring fails."""
    for operation in (store.load, lambda: store.save(RECORD)):
        with pytest.raises(KeyringAbsent, match="no Secret Service is on the session bus; start one, or set cli"):
            await operation()


@pytest.mark.parametrize("address", [None, "unix:path=/nowhere/bus", "rubbish"])
async def test_no_bus(store: KeyringStore, monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    """So is a machine without a session bus."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    with pytest.raises(KeyringAbsent, match="there is no session bus, and so no keyring"):
        await store.load()


async def test_a_keyring_that_dies_is_an_error(desktop: Desktop, store: KeyringStore) -> None:
    """A service that goes is an error, and one that comes back is used again."""
    await save(store)
    desktop.stop_keyring()
    with pytest.raises(KeyringError):
        await store.load()
    desktop.start_keyring()
    assert await store.load() == RECORD


async def test_a_keyring_that_hangs_is_given_up(desktop: Desktop, store: KeyringStore, tmp_path: Path) -> None:
    """A stopped service costs the deadline; set free, it is not asked for what was given up."""
    await save(store, "sk-old")
    hasty = [KeyringStore(tmp_path, SecretService(), timeout=0.3) for _ in range(3)]  # each with its own thread
    desktop.signal_keyring(signal.SIGSTOP)
    for operation in (hasty[0].load, lambda: hasty[1].save(RECORD), hasty[2].delete):
        with pytest.raises(StorageError, match=r"did not answer within 0.3 s; see whether"):
            await operation()
    desktop.signal_keyring(signal.SIGCONT)
    for _ in range(10):  # each goes to the service and back, as a late change would
        assert await store.load() == api_key_record(Secret("sk-old"))
    hasty[1]._timeout = PATIENCE  # the same thread, at work again
    await save(hasty[1])
    assert await store.load() == RECORD


async def test_a_thread_left_behind_ends(desktop: Desktop, tmp_path: Path) -> None:
    """It is cut off from the bus, so it ends though the service still says nothing, and the next may begin."""
    ended = threading.Event()

    async def watched(work: Callable[[], T], /) -> T:
        def work_and_tell() -> T:
            try:
                return work()
            finally:
                ended.set()

        return await trio.to_thread.run_sync(work_and_tell, abandon_on_cancel=True)

    store = KeyringStore(tmp_path, SecretService(), timeout=0.3, in_thread=watched)
    desktop.signal_keyring(signal.SIGSTOP)
    with pytest.raises(StorageError, match="did not answer"):
        await store.load()
    assert ended.wait(PATIENCE)


async def test_a_bus_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that takes connections and says nothing is a keyring that does not answer."""
    folder = Path(tempfile.mkdtemp(prefix="accountd-"))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "bus"))
            listener.listen()
            monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={folder / 'bus'}")
            with pytest.raises(KeyringError, match=r"did not answer within 0.2 s"):
                await KeyringStore(tmp_path, SecretService(), timeout=0.2).load()
            with pytest.raises(KeyringError, match="the session bus does not answer"):
                await KeyringStore(tmp_path, SecretService()).load()
    finally:
        shutil.rmtree(folder)
