"""What the store makes of a keyring: its layout, its errors, and what it leaves beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from accountd.errors import KeyringAbsent, KeyringError, KeyringLocked, MalformedRecord, StorageError
from accountd.storage.base import StoreDescription
from accountd.storage.document import parse_record
from accountd.storage.file import FileStore
from accountd.storage.keyring import Item, KeyringStore
from fakes.keyring import RECORD, FakeKeyring, open_fake, operations, save


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
    assert f"{tmp_path / 'auth.json'} cannot be removed: Is a directory" in caplog.text


@pytest.mark.parametrize("failure", [KeyringLocked(), KeyringAbsent("there is no keyring"), None])
async def test_a_rehearsal_leaves_nothing_behind(failure: KeyringError | None, tmp_path: Path) -> None:
    """A keyring that refuses, or that keeps nothing, is found out before a login; what it holds stays as it is."""
    store, keyring = open_fake(tmp_path)
    await save(store)
    before = dict(keyring.items)
    await store.rehearse()
    assert keyring.items == before
    keyring.failure, keyring.forgetful = failure, True
    with pytest.raises(KeyringError, match=str(failure) if failure else "does not give back"):
        await store.rehearse()


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
    with pytest.raises(StorageError, match=r"still in its file: .*auth\.json cannot be removed: Is a directory"):
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
