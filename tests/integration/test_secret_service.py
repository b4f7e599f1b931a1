"""The keyring store on a real Secret Service: GNOME's daemon, on a session bus of its own."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
import trio

from accountd.errors import StorageError
from accountd.secret import Secret
from accountd.storage.auto import AutoStore
from accountd.storage.base import MalformedRecord, api_key_record
from accountd.storage.keyring import KeyringAbsent, KeyringError, KeyringLocked, KeyringStore
from accountd.storage.secret_service import SecretService
from fakes.processes import PATIENCE, running

if TYPE_CHECKING or sys.platform == "linux":
    import secretstorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

MISSING = [name for name in ("dbus-daemon", "gnome-keyring-daemon") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is the keyring of Linux"),
    pytest.mark.skipif(
        bool(MISSING) and "CI" not in os.environ,
        reason=f"no {' and no '.join(MISSING)} here; install Debian's packages `dbus` and `gnome-keyring`",
    ),
]

BUS = """<busconfig>
  <type>session</type>
  <listen>unix:dir={folder}</listen>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>"""
"""A bus that starts nothing by itself: no service but the ones of a test, and no window for a password."""

RECORD = api_key_record(Secret("sk-new"))
ITEM = {
    "service": "Codex Auth",
    "target": "default",
    "application": "rust-keyring",
    "xdg:schema": "org.freedesktop.Secret.Generic",
}
"""The attributes with which Codex 0.169 writes, but for `username`."""


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


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """Give a session without a keyring."""
    folder = Path(tempfile.mkdtemp(prefix="accountd-"))  # with a short path, for the sockets
    with ExitStack() as cleaning:
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


async def save(store: KeyringStore | AutoStore, key: str = "sk-new") -> None:
    """Save as the account service does."""
    async with store.locked():
        await store.save(api_key_record(Secret(key)))


async def test_save_load_and_delete(desktop: Desktop, store: KeyringStore, tmp_path: Path) -> None:
    """What is saved is loaded, by another process too; it is in no file; after a delete it is nowhere."""
    (tmp_path / "auth.json").write_text("{}")
    assert await store.load() is None
    await save(store, "sk-old")
    await save(store)
    assert await store.load() == RECORD
    assert await KeyringStore(tmp_path, SecretService()).load() == RECORD
    assert not (tmp_path / "auth.json").exists()
    async with store.locked():
        await store.delete()
        await store.delete()
    assert await store.load() is None
    assert desktop.items(store.account) == []


async def test_an_item_of_ours_is_found_by_the_peer(desktop: Desktop, store: KeyringStore) -> None:
    """It has the attributes by which Codex searches, and there is one, which Codex insists on."""
    await save(store, "sk-old")
    await save(store)
    [(attributes, document)] = desktop.items(store.account)
    assert attributes == ITEM | {"username": store.account, "application": "accountd"}
    assert document == b'{"auth_mode":"apikey","OPENAI_API_KEY":"sk-new"}'


@pytest.mark.parametrize("old_kind", [False, True])
async def test_an_item_of_the_peer_is_ours(desktop: Desktop, store: KeyringStore, old_kind: bool) -> None:
    """What Codex wrote is read, and rewritten in its place: also an item of the kind without `target`."""
    theirs = {name: value for name, value in ITEM.items() if not old_kind or name != "target"}
    desktop.put(theirs | {"username": store.account}, b'{"OPENAI_API_KEY":"sk-theirs"}')
    record = await store.load()
    assert record is not None
    assert record.api_key == Secret("sk-theirs")
    await save(store)
    [(attributes, document)] = desktop.items(store.account)
    assert attributes == theirs | {"username": store.account}
    assert json.loads(document)["OPENAI_API_KEY"] == "sk-new"


async def test_of_several_items_one_is_left(desktop: Desktop, store: KeyringStore) -> None:
    """Between two that both match Codex cannot choose any more; after a save of ours there is one again."""
    for application, target in (("a", {}), ("b", {"target": "default"}), ("c", {"target": "default"})):
        attributes = {"service": "Codex Auth", "username": store.account, "application": application}
        desktop.put(attributes | target, b'{"OPENAI_API_KEY":"sk-%s"}' % application.encode())
    desktop.put({"service": "Codex Auth", "username": store.account, "target": "other"}, b"of nobody we know")
    await save(store)
    ours = desktop.items(store.account)
    others = [document for attributes, document in ours if attributes.get("target") == "other"]
    assert others == [b"of nobody we know"]
    assert len(ours) == 2
    await store.delete()
    assert [document for _, document in desktop.items(store.account)] == others


async def test_two_homes_do_not_meet(desktop: Desktop, tmp_path: Path) -> None:
    """Each CODEX_HOME has an item of its own."""
    stores = [KeyringStore(tmp_path / name, SecretService()) for name in ("a", "b")]
    await save(stores[0])
    assert await stores[1].load() is None


async def test_a_long_document_in_foreign_letters(desktop: Desktop, store: KeyringStore) -> None:
    """Size and alphabet of a key are no matter."""
    await save(store, "ключ-" * 5000)
    record = await store.load()
    assert record is not None
    assert record.api_key == Secret("ключ-" * 5000)


async def test_a_document_that_is_no_text_is_malformed(desktop: Desktop, store: KeyringStore) -> None:
    """It is an error, and kept aside by the next save."""
    desktop.put(ITEM | {"username": store.account}, b"\xff\x00")
    with pytest.raises(MalformedRecord):
        await store.load()
    await save(store)
    assert await store.load() == RECORD
    with closing(secretstorage.dbus_init()) as connection:
        documents = [
            item.get_secret() for item in secretstorage.search_items(connection, {"service": "Codex Auth"})
        ]
    assert b"\xff\x00" in documents


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


async def test_a_missing_library_is_no_keyring(store: KeyringStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library is not installed, the error says so."""
    monkeypatch.setitem(sys.modules, "secretstorage", None)
    with pytest.raises(KeyringAbsent, match="`secretstorage` is not installed; install it, or"):
        await store.load()


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


async def test_auto_goes_to_the_file_and_comes_back(
    desktop: Desktop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Locked, the keyring is stood in for by the file, which then counts; unlocked, it takes over again."""
    caplog.set_level(logging.INFO)
    store = AutoStore(tmp_path, KeyringStore(tmp_path, SecretService()))
    await save(store, "sk-1")
    assert store.describe().kind == "keyring"
    desktop.lock()
    await save(store, "sk-2")
    assert store.describe().kind == "file"
    assert "the keyring is locked" in (store.describe().note or "")
    os.utime(tmp_path / "auth.json", (time.time() + 2, time.time() + 2))  # as if some time had passed
    desktop.stop_keyring()
    desktop.start_keyring()
    assert await store.load() == api_key_record(Secret("sk-2"))
    assert store.describe().kind == "file"
    await save(store, "sk-3")
    assert await store.load() == api_key_record(Secret("sk-3"))
    assert store.describe().kind == "keyring"
    assert not (tmp_path / "auth.json").exists()
    assert "sk-" not in caplog.text


def test_a_daemon_logs_in_to_the_keyring(desktop: Desktop) -> None:
    """The whole way: a client's API key ends in the keyring, outlives the daemon, and a logout removes it."""
    home = Path(tempfile.mkdtemp(prefix="accountd-"))
    (home / "config.toml").write_text('cli_auth_credentials_store = "keyring"\n')
    try:
        account = KeyringStore(home, SecretService()).account
        with running(home, **desktop.variables) as daemon, daemon.connect() as client:
            client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-canary"})
            assert [json.loads(document) for _, document in desktop.items(account)] == [
                {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-canary"}
            ]
            assert not (home / "auth.json").exists()
            assert "sk-canary" not in daemon.stop()
        with running(home, **desktop.variables) as daemon, daemon.connect() as client:
            assert client.call("account/read", {})["account"] == {"type": "apiKey"}
            client.call("account/logout", None)
        assert desktop.items(account) == []
    finally:
        shutil.rmtree(home)
