"""What the store makes of a keyring: its layout, its errors, and above all its silence."""

from __future__ import annotations

import json
import logging
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.config import Config
from accountd.errors import StorageError
from accountd.secret import Secret
from accountd.storage.auto import AutoStore
from accountd.storage.base import MalformedRecord, StoreDescription, api_key_record, parse_record
from accountd.storage.choose import open_store
from accountd.storage.file import FileStore
from accountd.storage.keyring import (
    TIMEOUT,
    Call,
    Item,
    Keychain,
    KeyringAbsent,
    KeyringError,
    KeyringLocked,
    KeyringStore,
)
from accountd.storage.memory import MemoryStore
from fakes.keyring import FakeKeyring, Stuck, at_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.config import CredentialsStore
    from accountd.storage.base import AuthRecord

RECORD = api_key_record(Secret("sk-new"))


def open_fake(home: Path) -> tuple[KeyringStore, FakeKeyring]:
    """Make a store on a keyring that answers at once."""
    keyring = FakeKeyring()
    return KeyringStore(home, keyring, in_thread=at_once), keyring


def operations(store: KeyringStore) -> list[Callable[[], Awaitable[object]]]:
    """List all that can be asked of a keyring."""
    return [store.load, store.delete, lambda: store.save(RECORD)]


async def save(store: KeyringStore, record: AuthRecord = RECORD) -> None:
    """Save as the account service does."""
    async with store.locked():
        await store.save(record)


async def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A record comes back as it went, under the peer's name and in its compact spelling, and not in a file."""
    store, keyring = open_fake(tmp_path)
    assert await store.load() is None
    await save(store)
    assert await store.load() == RECORD
    assert keyring.items[store.account].document == b'{"auth_mode":"apikey","OPENAI_API_KEY":"sk-new"}'
    assert not (tmp_path / "auth.json").exists()
    assert store.describe() == StoreDescription("keyring", f"Codex Auth, {store.account}")


async def test_what_others_wrote_into_the_document_is_kept(tmp_path: Path) -> None:
    """Members that are not ours come back, as from a file."""
    store, keyring = open_fake(tmp_path)
    document = b'{"auth_mode":"apikey","OPENAI_API_KEY":"sk","later":{"a":[1,"\xc3\xa4"]}}'
    await save(store, parse_record(document))
    assert keyring.items[store.account].document == document


def test_the_account_is_the_one_of_the_peer(tmp_path: Path) -> None:
    """It is made of the home's real path: seen on the running peer for this one, also by way of a link."""
    assert KeyringStore(Path("/tmp/home-r_x9s86k"), FakeKeyring()).account == "cli|eafb21e0849faa9d"
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to("home")
    accounts = {KeyringStore(tmp_path / name, FakeKeyring()).account for name in ("home", "link", "link/../home")}
    assert len(accounts) == 1


async def test_the_locks_are_those_of_the_file(tmp_path: Path) -> None:
    """Whoever shares the keyring shares the home, and takes its locks: also a home that was not there."""
    store, _ = open_fake(tmp_path / "home")
    async with store.locked():
        assert {path.name for path in (tmp_path / "home").iterdir()} == {"auth.json.lock", "auth.lock"}
        with trio.move_on_after(0.01) as scope:
            async with FileStore(tmp_path / "home").locked():
                raise AssertionError("two have the lock")
    assert scope.cancelled_caught


async def test_a_file_beside_it_is_not_read_and_goes_with_the_next_save(tmp_path: Path) -> None:
    """The credential of a keyring is not looked for in a file, and plain text does not stay behind."""
    store, _ = open_fake(tmp_path)
    (tmp_path / "auth.json").write_text('{"OPENAI_API_KEY": "sk-stale"}')
    assert await store.load() is None
    await save(store)
    assert not (tmp_path / "auth.json").exists()


async def test_a_file_that_stays_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The login is stored, so it succeeds; the plain text that could not be removed is named."""
    store, _ = open_fake(tmp_path)
    (tmp_path / "auth.json").mkdir()
    await save(store)
    assert await store.load() == RECORD
    assert f"{tmp_path / 'auth.json'} is still there: Is a directory" in caplog.text


async def test_a_delete_removes_both(tmp_path: Path) -> None:
    """After a logout there is nothing in either place, and a second one has nothing to do."""
    store, keyring = open_fake(tmp_path)
    await save(store)
    (tmp_path / "auth.json").write_text("{}")
    async with store.locked():
        await store.delete()
        await store.delete()
    assert keyring.items == {}
    assert not (tmp_path / "auth.json").exists()


async def test_a_delete_that_fails_in_one_place_is_done_in_the_other(tmp_path: Path) -> None:
    """The file goes though the keyring is locked, the item though the file stays; what stays is named."""
    store, keyring = open_fake(tmp_path)
    await save(store)
    (tmp_path / "auth.json").touch()
    keyring.failure = KeyringLocked()
    with pytest.raises(StorageError, match="may still be in the keyring: the keyring is locked; unlock it, or"):
        await store.delete()
    assert not (tmp_path / "auth.json").exists()
    keyring.failure = None
    (tmp_path / "auth.json").mkdir()
    with pytest.raises(StorageError, match=r"still in .*auth\.json: Is a directory"):
        await store.delete()
    assert keyring.items == {}


async def test_a_keyring_that_loses_writes_is_found_out(tmp_path: Path) -> None:
    """A save is believed when it can be read back, and the file stays until then."""
    store, keyring = open_fake(tmp_path)
    (tmp_path / "auth.json").write_text('{"OPENAI_API_KEY": "sk-file"}')
    keyring.forgetful = True
    with pytest.raises(KeyringError, match="does not give back what it was given"):
        await save(store)
    keyring.items[store.account] = Item(b'{"OPENAI_API_KEY":"sk-old"}')
    with pytest.raises(KeyringError, match="does not give back what it was given"):
        await save(store)
    assert (tmp_path / "auth.json").exists()


@pytest.mark.parametrize("document", [b'{"torn', b'{"OPENAI_API_KEY": "\xff"}', b"[]"])
async def test_a_malformed_document_is_kept_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, document: bytes
) -> None:
    """It is an error to load; a save keeps it in the keyring under another name, and does not quote it."""
    store, keyring = open_fake(tmp_path)
    keyring.items[store.account] = Item(document)
    with pytest.raises(MalformedRecord):
        await store.load()
    await save(store)
    assert await store.load() == RECORD
    (aside,) = keyring.items.keys() - {store.account}
    assert aside.startswith(f"{store.account}.corrupt-")
    assert keyring.items[aside].document == document
    assert aside in caplog.text
    assert "torn" not in caplog.text


async def test_an_empty_document_is_no_loss(tmp_path: Path) -> None:
    """There is nothing in it to keep."""
    store, keyring = open_fake(tmp_path)
    keyring.items[store.account] = Item(b"")
    await save(store)
    assert list(keyring.items) == [store.account]


@pytest.mark.parametrize("failure", [KeyringLocked(), KeyringAbsent("none here"), KeyringError("D-Bus is ill")])
async def test_every_failure_says_what_to_do(tmp_path: Path, failure: KeyringError) -> None:
    """One line, with the way out that always works."""
    store, keyring = open_fake(tmp_path)
    keyring.failure = failure
    for operation in operations(store):
        with pytest.raises(StorageError) as caught:
            await operation()
        assert 'set cli_auth_credentials_store = "file"' in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_item_does_not_show_its_document() -> None:
    """Its repr has dots where the tokens are."""
    assert repr(Item(b"sk-canary", 7.0)) == "Item(••••, modified=7.0)"


async def test_silence_ends_with_a_clear_error(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A keyring that never answers is waited for five seconds, whatever it was asked."""
    store = KeyringStore(tmp_path, FakeKeyring(), in_thread=Stuck())
    for operation in operations(store):
        begin = trio.current_time()
        with pytest.raises(StorageError, match="did not answer within 5 s; see whether it waits for a password"):
            await operation()
        assert trio.current_time() - begin == TIMEOUT


async def test_what_was_given_up_changes_nothing_later(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A thread that comes back after its caller was told of a failure neither writes nor removes."""
    keyring, stuck = FakeKeyring(), Stuck()
    store = KeyringStore(tmp_path, keyring, in_thread=stuck)
    keyring.items[store.account] = old = Item(b'{"OPENAI_API_KEY":"sk-old"}')
    for operation in operations(store)[1:]:
        with pytest.raises(StorageError):
            await operation()
    for work in stuck.left_behind:
        with pytest.raises(KeyringError, match="given up"):
            work()
    assert keyring.items == {store.account: old}


async def test_who_is_cancelled_changes_nothing_later(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The same for a caller that left."""
    keyring, stuck = FakeKeyring(), Stuck()
    store = KeyringStore(tmp_path, keyring, in_thread=stuck)
    with trio.move_on_after(1):
        await store.save(RECORD)
    with pytest.raises(KeyringError, match="given up"):
        stuck.left_behind[0]()
    assert keyring.items == {}


async def test_a_change_that_may_have_happened_is_not_denied(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """When the keyring has been told to write, and no answer comes, the error says that it may have."""
    store = KeyringStore(tmp_path, FakeKeyring(), in_thread=Stuck(works=True))
    with pytest.raises(StorageError, match="did not answer within 5 s and may yet do what it was asked"):
        await store.save(RECORD)
    with pytest.raises(StorageError, match=r"did not answer within 5 s;"):
        await store.load()


def test_a_call_given_up_is_hung_up() -> None:
    """What cuts the thread off is run once the call is given up, and a connection that is gone is no harm."""
    hung_up = []
    call = Call()
    call.on_give_up(lambda: hung_up.append(True))
    assert call.give_up() is False
    assert hung_up == [True]
    with pytest.raises(KeyringError):
        call.on_give_up(lambda: None)
    with pytest.raises(KeyringError):
        call.before_change()

    def fail() -> None:
        raise OSError

    closed = Call()
    closed.on_give_up(fail)
    closed.before_change()
    assert closed.give_up() is True


async def test_real_threads_do_not_pile_up(tmp_path: Path) -> None:
    """While one thread hangs no other is begun, so that nothing overtakes it; when it is free, all is well."""
    threads = []
    free = threading.Event()

    class Hanging(FakeKeyring):
        """A keyring that answers when it is told to."""

        def read(self, call: Call, account: str) -> Item | None:
            """See Keyring.read."""
            threads.append(threading.current_thread())
            free.wait(10)
            return super().read(call, account)

    store = KeyringStore(tmp_path, Hanging(), timeout=0.05)
    for _ in range(3):
        with pytest.raises(StorageError, match=r"did not answer within 0.05 s"):
            await store.save(RECORD)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
    free.set()
    patient = KeyringStore(tmp_path, Hanging())
    assert await patient.load() is None
    await patient.save(RECORD)
    assert await patient.load() == RECORD


class FakeKeychain:
    """What the library `keyring` makes of the Keychain of macOS."""

    kept: dict[tuple[str, str], str]
    failure: Exception | None

    def get_password(self, service: str, account: str) -> str | None:
        """Give a password."""
        if self.failure is not None:
            raise self.failure
        return self.kept.get((service, account))

    def set_password(self, service: str, account: str, text: str) -> None:
        """Keep a password."""
        if self.failure is not None:
            raise self.failure
        self.kept[service, account] = text

    def delete_password(self, service: str, account: str) -> None:
        """Remove a password that is there."""
        del self.kept[service, account]


class Refused(Exception):
    """The error of the library."""


class Denied(Refused):
    """Its error for what is locked."""


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[FakeKeychain]:
    """Give a library `keyring`, which is installed on macOS only, as much of it as is used."""

    class Library(FakeKeychain):
        kept: dict[tuple[str, str], str] = {}  # noqa: RUF012 - each is a new one; each call makes a new object
        failure = None

    modules = {name: ModuleType(name) for name in ("keyring", "keyring.errors", "keyring.backends")}
    modules["keyring.backends.macOS"] = ModuleType("keyring.backends.macOS")
    vars(modules["keyring"]).update(errors=modules["keyring.errors"])
    vars(modules["keyring.errors"]).update(KeyringError=Refused, KeyringLocked=Denied)
    vars(modules["keyring.backends"]).update(macOS=modules["keyring.backends.macOS"])
    vars(modules["keyring.backends.macOS"]).update(Keyring=Library)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return Library


async def test_the_keychain_is_laid_out_like_the_peers(tmp_path: Path, library: type[FakeKeychain]) -> None:
    """Service, account and document go to the library as they are, and come back."""
    store = KeyringStore(tmp_path, Keychain(), in_thread=at_once)
    await save(store)
    assert list(library.kept) == [("Codex Auth", store.account)]
    assert json.loads(library.kept["Codex Auth", store.account])["OPENAI_API_KEY"] == "sk-new"
    assert await store.load() == RECORD
    await store.delete()
    await store.delete()
    assert library.kept == {}


async def test_the_keychains_errors_are_ours(tmp_path: Path, library: type[FakeKeychain]) -> None:
    """Nothing of the library's comes out of the store."""
    store = KeyringStore(tmp_path, Keychain(), in_thread=at_once)
    library.failure = Denied("no")
    with pytest.raises(KeyringLocked):
        await store.load()
    library.failure = Refused("(-25308, 'Unknown Error')")
    with pytest.raises(KeyringError, match="the Keychain refused"):
        await save(store)


async def test_a_missing_library_is_no_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library is not installed, the error says so."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(KeyringAbsent, match="`keyring` is not installed; install it, or"):
        await KeyringStore(tmp_path, Keychain(), in_thread=at_once).load()


@pytest.mark.parametrize(
    ("configured", "kind", "place"),
    [
        ("file", FileStore, "file"),
        ("ephemeral", MemoryStore, "memory"),
        ("keyring", KeyringStore, "keyring"),
        ("auto", AutoStore, "keyring"),
    ],
)
def test_the_configured_store_is_opened(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    configured: CredentialsStore,
    kind: type[object],
    place: str,
) -> None:
    """Each word of the configuration is a store, that says where it keeps things, and asks nobody yet."""
    caplog.set_level(logging.DEBUG)
    store = open_store(Config(codex_home=tmp_path, credentials_store=configured))
    assert isinstance(store, kind)
    assert store.describe().kind == place
    assert store.describe().note is None
    assert not caplog.records
