"""The credential on a real disk."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from pathlib import Path
from typing import NoReturn

import pytest

from accountd.errors import MalformedRecord, StorageError
from accountd.secret import Secret
from accountd.storage.base import AuthRecord, StoreDescription, api_key_record
from accountd.storage.file import FileStore

RECORD = api_key_record(Secret("sk-new"))


async def save(store: FileStore, record: AuthRecord = RECORD) -> None:
    """Save as the account service does."""
    async with store.locked():
        await store.save(record)


def files(home: Path) -> set[str]:
    """Name the files of a home, but for the locks."""
    return {path.name for path in home.iterdir()} - {"auth.json.lock", "auth.lock"}


def refuse_to_rename(*_: object, **__: object) -> NoReturn:
    """Be a disk that is full by then."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A record comes back from the disk as it went, and nothing else is left in the folder."""
    store = FileStore(tmp_path)
    assert await store.load() is None
    await save(store)
    assert await store.load() == RECORD
    assert files(tmp_path) == {"auth.json"}


async def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """The home that is made has mode 0700, the file 0600, whatever the umask and whatever was there before."""
    home = tmp_path / "a" / "home"
    umask = os.umask(0)
    try:
        await save(FileStore(home))
    finally:
        os.umask(umask)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "auth.json").stat().st_mode & 0o777 == 0o600
    (home / "auth.json").chmod(0o644)
    await save(FileStore(home))
    assert (home / "auth.json").stat().st_mode & 0o777 == 0o600


async def test_a_file_that_is_replaced_is_never_torn(tmp_path: Path) -> None:
    """A reader that has the old file open goes on reading the old content: it is replaced, not rewritten."""
    store = FileStore(tmp_path)
    await save(store, api_key_record(Secret("sk-old")))
    with store.path.open() as reader:
        await save(store)
        assert json.load(reader)["OPENAI_API_KEY"] == "sk-old"


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
async def test_a_disk_that_fails_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    """Whichever step fails, the old credential is there, whole, and no temporary file is."""
    store = FileStore(tmp_path)
    await save(store, api_key_record(Secret("sk-old")))

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    if step == "write":
        monkeypatch.setattr(os, "fdopen", fail)
    elif step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(StorageError, match=rf"{os.strerror(number)} \(os error {number}\)"):
        await save(store)
    monkeypatch.undo()
    assert await store.load() == api_key_record(Secret("sk-old"))
    assert files(tmp_path) == {"auth.json"}


async def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Where auth.json is a link to another place, the file in that place is replaced."""
    (tmp_path / "elsewhere").mkdir()
    store = FileStore(tmp_path)
    store.path.symlink_to(tmp_path / "elsewhere" / "real.json")
    await save(store)
    assert store.path.is_symlink()
    assert await store.load() == RECORD
    assert files(tmp_path / "elsewhere") == {"real.json", "real.json.lock"}


async def test_a_malformed_file_is_kept_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A document that cannot be read is an error to load; a save keeps it under another name, and warns."""
    store = FileStore(tmp_path)
    store.path.write_text('{"torn')
    store.path.chmod(0o644)
    with pytest.raises(MalformedRecord):
        await store.load()
    await save(store)
    assert await store.load() == RECORD
    (aside,) = files(tmp_path) - {"auth.json"}
    assert aside.startswith("auth.json.corrupt-")
    assert (tmp_path / aside).read_text() == '{"torn'
    assert (tmp_path / aside).stat().st_mode & 0o777 == 0o600
    assert aside in caplog.text
    assert "torn" not in caplog.text


async def test_an_empty_file_is_no_loss(tmp_path: Path) -> None:
    """An empty document cannot be read either, but there is nothing in it to keep."""
    store = FileStore(tmp_path)
    store.path.touch()
    with pytest.raises(MalformedRecord):
        await store.load()
    await save(store)
    assert files(tmp_path) == {"auth.json"}


async def test_a_folder_in_its_place_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """It is not put aside, nor by Codex; the error has the path, the system's words and what to do."""
    store = FileStore(tmp_path)
    store.path.mkdir()
    words = f"{store.path} cannot be read: Is a directory (os error 21); a folder is in its place: `mv "
    with pytest.raises(StorageError, match=f"^{re.escape(words)}"):
        await save(store)


async def test_deleting_is_for_good_and_no_error_twice(tmp_path: Path) -> None:
    """After a delete there is nothing, and a second one has nothing to do."""
    store = FileStore(tmp_path)
    await save(store)
    async with store.locked():
        await store.delete()
        await store.delete()
    assert await store.load() is None
    assert files(tmp_path) == set()


async def test_a_delete_that_fails_says_so(tmp_path: Path) -> None:
    """A credential that cannot be deleted is an error, not a logout."""
    store = FileStore(tmp_path)
    store.path.mkdir()
    with pytest.raises(StorageError, match="os error"):
        async with store.locked():
            await store.delete()


async def test_a_home_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """Where a file stands in the place of the home, locking says so."""
    (tmp_path / "home").touch()
    with pytest.raises(StorageError, match="Not a directory"):
        async with FileStore(tmp_path / "home").locked():
            raise AssertionError("the store was locked")


async def test_it_says_where_it_is(tmp_path: Path) -> None:
    """The kind that clients are told, and the path."""
    assert FileStore(tmp_path).describe() == StoreDescription("file", str(tmp_path / "auth.json"))


async def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the same as nobody being logged in: a login may be there, and is not to be overwritten."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    store = FileStore(tmp_path)
    await save(store)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match=r"Permission denied \(os error 13\)"):
        await store.load()


async def test_a_want_of_memory_is_an_error_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is done to it, so that who waits for changes of the file does not end the daemon."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise MemoryError

    store = FileStore(tmp_path)
    await save(store)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match="out of memory"):
        await store.load()
    with pytest.raises(StorageError, match="out of memory"):
        await save(store)
    with pytest.raises(StorageError, match="out of memory"):
        await store.delete()


async def test_what_a_failed_save_has_kept_aside_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second try within the same second finds the malformed document kept already, and goes on."""
    store = FileStore(tmp_path)
    store.path.write_text("{torn")
    monkeypatch.setattr(time, "strftime", lambda _: "20270115T080000")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse_to_rename)
        with pytest.raises(StorageError):
            await save(store)
    await save(store)
    assert await store.load() == RECORD
    assert files(tmp_path) == {"auth.json", "auth.json.corrupt-20270115T080000"}
    assert (tmp_path / "auth.json.corrupt-20270115T080000").read_text() == "{torn"


@pytest.mark.parametrize("which", ["home", "document"])
async def test_what_was_locked_is_what_is_changed(which: str, tmp_path: Path) -> None:
    """A link that is given another target during a refresh gets no tokens of one account into another's."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        await save(FileStore(tmp_path / name), api_key_record(Secret(f"sk-{name}")))
    link = tmp_path / "home"
    if which == "document":
        link.mkdir()
        link = link / "auth.json"
    link.symlink_to(tmp_path / "a" / ("auth.json" if which == "document" else ""))
    store = FileStore(tmp_path / "home")
    async with store.locked():
        link.unlink()
        link.symlink_to(tmp_path / "b" / ("auth.json" if which == "document" else ""))
        assert await store.load() == api_key_record(Secret("sk-a"))
        await store.save(RECORD)
    assert await store.load() == api_key_record(Secret("sk-b"))
    assert await FileStore(tmp_path / "a").load() == RECORD


async def test_a_mark_of_the_byte_order_is_read_over(tmp_path: Path) -> None:
    """As an editor may put it there."""
    store = FileStore(tmp_path)
    await save(store)
    store.path.write_bytes(b"\xef\xbb\xbf" + store.path.read_bytes())
    assert await store.load() == RECORD


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_a_file_system_without_second_names_keeps_it_aside_as_well(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the document has that name alone, until the new one has its own."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    store = FileStore(tmp_path)
    store.path.write_text("{torn")
    await store.rehearse()
    await save(store)
    assert await store.load() == RECORD
    (aside,) = files(tmp_path) - {"auth.json"}
    assert (tmp_path / aside).read_text() == "{torn"
