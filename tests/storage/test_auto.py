"""The keyring if it works, the file if it does not, and never a doubt which one counts."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NoReturn

import pytest
import trio
import trio.testing

from accountd.errors import KeyringAbsent, KeyringError, KeyringLocked, MalformedRecord, StorageError
from accountd.secret import Secret
from accountd.storage.auto import AutoStore
from accountd.storage.base import api_key_record
from accountd.storage.file import FileStore
from accountd.storage.keyring import TIMEOUT, Item, KeyringStore
from accountd.storage.locks import CredentialLocks
from fakes.keyring import FakeKeyring, Stuck, at_once

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.storage.base import AuthRecord

ABSENT = KeyringAbsent("there is no keyring")
FAILURES = [ABSENT, KeyringLocked(), KeyringError("D-Bus is ill")]


def record(key: str) -> AuthRecord:
    """Make a record that can be told from others."""
    return api_key_record(Secret(key))


class Places:
    """An AutoStore, and the two places behind it."""

    def __init__(self, home: Path) -> None:
        self.keyring = FakeKeyring()
        inner = KeyringStore(home, self.keyring, in_thread=at_once)
        self.account = inner.account
        self.file = FileStore(home)
        self.store = AutoStore(home, inner)

    async def save(self, key: str) -> None:
        """Save as the account service does."""
        async with self.store.locked():
            await self.store.save(record(key))

    def put_in_keyring(self, key: str, modified: float | None) -> None:
        """Put a credential into the keyring, as of some time."""
        self.keyring.items[self.account] = Item(b'{"OPENAI_API_KEY":"%s"}' % key.encode(), modified)

    async def put_in_file(self, key: str, modified: float) -> None:
        """Put a credential into the file, as of some time."""
        await self.file.save(record(key))
        os.utime(self.file.path, (modified, modified))

    async def loaded(self) -> str | None:
        """Load, and give the key."""
        found = await self.store.load()
        return None if found is None or found.api_key is None else found.api_key.reveal()


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Give an AutoStore on a keyring that works."""
    return Places(tmp_path)


async def test_a_keyring_that_works_holds_it_alone(places: Places, caplog: pytest.LogCaptureFixture) -> None:
    """What is saved is in the keyring, a file that was there is not any more, and nothing is warned of."""
    assert await places.loaded() is None
    await places.put_in_file("sk-file", 5000)
    await places.save("sk-new")
    assert await places.loaded() == "sk-new"
    assert not places.file.path.exists()
    assert list(places.keyring.items) == [places.account]
    assert places.store.describe().kind == "keyring"
    assert places.store.describe().note is None
    assert not caplog.records


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_save_that_fails_goes_to_the_file_and_says_so(
    places: Places, caplog: pytest.LogCaptureFixture, failure: KeyringError
) -> None:
    """The login is kept, and both the log and the description name the file and the reason; no secret."""
    places.keyring.failure = failure
    await places.save("sk-new")
    assert await places.file.load() == record("sk-new")
    assert await places.loaded() == "sk-new"
    description = places.store.describe()
    assert description.kind == "file"
    assert description.location == str(places.file.path)
    assert description.note == str(failure)
    assert [entry.levelname for entry in caplog.records] == ["WARNING"]
    assert str(failure) in caplog.text
    assert "sk-new" not in caplog.text


async def test_a_keyring_that_loses_writes_is_not_relied_on(places: Places) -> None:
    """When the keyring does not give back what it took, the file has it."""
    places.keyring.forgetful = True
    await places.save("sk-new")
    assert places.store.describe().kind == "file"
    assert await places.loaded() == "sk-new"


async def test_a_keyring_that_hangs_is_not_waited_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A save takes the keyring's few seconds, and is in the file; what hung does not write afterwards."""
    keyring, stuck = FakeKeyring(), Stuck()
    store = AutoStore(tmp_path, KeyringStore(tmp_path, keyring, in_thread=stuck))
    begin = trio.current_time()
    await store.save(record("sk-new"))
    assert await store.load() == record("sk-new")
    assert trio.current_time() - begin == 2 * TIMEOUT
    with pytest.raises(KeyringError, match="given up"):
        stuck.left_behind[0]()
    assert keyring.items == {}


async def test_when_both_fail_it_is_an_error(places: Places) -> None:
    """A login that is nowhere is no login."""
    places.keyring.failure = ABSENT
    places.file.path.mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        await places.save("sk-new")


async def test_a_file_alone_counts(places: Places) -> None:
    """Whoever changes from `file` to `auto` stays logged in, and is told where the next login goes."""
    await places.put_in_file("sk-file", 1)
    assert await places.loaded() == "sk-file"
    assert places.store.describe().kind == "file"
    assert places.store.describe().note == "the keyring holds no login; the next one goes there"


@pytest.mark.parametrize("modified", [1000.0, 1000.9, 999.0])
async def test_a_stale_file_does_not_win(places: Places, modified: float) -> None:
    """A file that is no newer, in the seconds of a keyring, is not used, and that is said."""
    places.put_in_keyring("sk-keyring", 1000)
    await places.put_in_file("sk-stale", modified)
    assert await places.loaded() == "sk-keyring"
    assert places.store.describe().kind == "keyring"
    assert places.store.describe().note == "the older auth.json beside it is not used"


async def test_a_stale_item_does_not_win(places: Places) -> None:
    """A file that is newer was written when the keyring failed: what the keyring holds is spent."""
    places.put_in_keyring("sk-stale", 1000)
    await places.put_in_file("sk-file", 1001)
    assert await places.loaded() == "sk-file"
    assert places.store.describe().note == "it is newer than the login in the keyring, which is not used"
    await places.save("sk-next")
    assert await places.loaded() == "sk-next"
    assert not places.file.path.exists()


async def test_a_keyring_that_knows_no_times_wins(places: Places) -> None:
    """Where nothing can be compared it is as with the peer: the keyring first."""
    places.put_in_keyring("sk-keyring", None)
    await places.put_in_file("sk-file", 5000)
    assert await places.loaded() == "sk-keyring"


async def test_a_newer_file_that_cannot_be_read_is_no_login(
    places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    """The keyring's login goes on, and the file is warned of."""
    places.put_in_keyring("sk-keyring", 1000)
    places.file.path.write_text('{"torn')
    assert await places.loaded() == "sk-keyring"
    assert "is not used, since it cannot be read" in caplog.text
    assert "torn" not in caplog.text


async def test_a_file_alone_that_cannot_be_read_is_an_error(places: Places) -> None:
    """It is no logout either."""
    places.file.path.write_text('{"torn')
    with pytest.raises(MalformedRecord):
        await places.store.load()


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_keyring_that_fails_leaves_the_file(
    places: Places, caplog: pytest.LogCaptureFixture, failure: KeyringError
) -> None:
    """With nothing known of the keyring, the file counts; the reason is told once, not at each load."""
    places.keyring.failure = failure
    await places.put_in_file("sk-file", 1)
    assert await places.loaded() == "sk-file"
    assert await places.loaded() == "sk-file"
    assert places.store.describe().note == str(failure)
    assert len(caplog.records) == 1


async def test_a_malformed_item_leaves_the_file(places: Places) -> None:
    """As with the peer. Without a file it is an error, not a logout."""
    places.keyring.items[places.account] = Item(b'{"torn', 9000)
    with pytest.raises(MalformedRecord):
        await places.store.load()
    await places.put_in_file("sk-file", 1)
    assert await places.loaded() == "sk-file"


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_login_seen_in_the_keyring_is_not_gone_when_that_fails(
    places: Places, failure: KeyringError
) -> None:
    """Neither nothing nor an older file is then the credential: it is an error. A newer file is."""
    places.put_in_keyring("sk-keyring", 1000)
    assert await places.loaded() == "sk-keyring"
    places.keyring.failure = failure
    with pytest.raises(KeyringError):
        await places.store.load()
    await places.put_in_file("sk-stale", 999)
    with pytest.raises(KeyringError):
        await places.store.load()
    await places.put_in_file("sk-newer", 1001)
    assert await places.loaded() == "sk-newer"


async def test_no_keyring_and_no_file_is_no_login(places: Places) -> None:
    """On a server without a keyring nobody is logged in, and no error says otherwise; one that hides is one."""
    places.keyring.failure = ABSENT
    assert await places.loaded() is None
    assert places.store.describe().kind == "file"
    places.keyring.failure = KeyringLocked()
    with pytest.raises(KeyringLocked):
        await places.store.load()


async def test_a_fallback_is_not_forgotten(places: Places) -> None:
    """After a save that went to the file the file counts at once, though the keyring's item is as new."""
    await places.save("sk-1")
    places.keyring.failure = KeyringLocked()
    await places.save("sk-2")
    assert await places.loaded() == "sk-2"
    with pytest.raises(StorageError, match="may still be in the keyring"):
        await places.store.delete()


async def test_a_delete_removes_both(places: Places) -> None:
    """After a logout neither place can bring a login back."""
    places.put_in_keyring("sk-keyring", 1000)
    await places.put_in_file("sk-file", 999)
    async with places.store.locked():
        await places.store.delete()
    assert await places.loaded() is None
    assert places.keyring.items == {}
    assert not places.file.path.exists()


async def test_a_logout_works_without_any_keyring(places: Places) -> None:
    """Where there is no keyring and never was, the file is all, and removing it is enough. The peer fails here."""
    places.keyring.failure = ABSENT
    await places.save("sk-file")
    await places.store.delete()
    assert await places.loaded() is None


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_login_left_in_the_keyring_is_told(places: Places, failure: KeyringError) -> None:
    """When the keyring had it and fails, the logout is an error, though the file is gone."""
    await places.save("sk-keyring")
    await places.put_in_file("sk-file", 1)
    places.keyring.failure = failure
    with pytest.raises(StorageError, match="may still be in the keyring"):
        await places.store.delete()
    assert not places.file.path.exists()


async def test_a_file_that_cannot_even_be_looked_at_is_an_error(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login may be in it, so an empty keyring does not mean that nobody is logged in."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(type(places.file.path), "stat", refuse)
        patch.setattr(os, "open", refuse)
        with pytest.raises(StorageError, match="Permission denied"):
            await places.store.load()
    assert await places.loaded() is None


async def test_the_locks_are_those_of_the_file(places: Places, autojump_clock: trio.testing.MockClock) -> None:
    """Wherever the credential is, whoever else changes it takes the same two."""
    async with places.store.locked():
        with pytest.raises(StorageError, match="has held the credential lock"):
            async with CredentialLocks(places.file.path.parent).hold(1):
                pass


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_logout_that_a_keyring_refuses_is_none(places: Places, failure: KeyringError) -> None:
    """Where nothing was ever seen in the keyring, one that is absent holds nothing; one that is locked may."""
    await places.put_in_file("sk-file", 1000)
    places.keyring.failure = failure
    if failure is ABSENT:
        await places.store.delete()
    else:
        with pytest.raises(StorageError, match="may still be in the keyring"):
            await places.store.delete()
    assert await places.file.load() is None


async def test_a_rehearsal_needs_one_of_both(places: Places) -> None:
    """Where neither would take a login, both reasons are told."""
    places.keyring.failure = KeyringLocked()
    await places.store.rehearse()
    places.file.path.mkdir()
    with pytest.raises(
        StorageError, match=r"auth\.json cannot be written: Is a directory .*; and not in the keyring: the"
    ):
        await places.store.rehearse()
    places.keyring.failure = None
    await places.store.rehearse()
