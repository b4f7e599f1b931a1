"""What a power cut leaves of the credential, as far as the calls tell: what is on the disk when."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.errors import StorageError
from accountd.secret import Secret
from accountd.storage.base import api_key_record
from accountd.storage.document import render_record
from accountd.storage.file import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD = api_key_record(Secret("sk-new"))


class Disk:
    """Notes what is synced and renamed; the sync of a folder may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.error = 0
        self._fsync, self._replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "replace", self.replace)

    def fsync(self, descriptor: int) -> None:
        """See os.fsync."""
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self.calls.append("folder")
            if self.error:
                raise OSError(self.error, os.strerror(self.error))
        else:
            self.calls.append(f"{found.st_size} bytes")
        self._fsync(descriptor)

    def replace(self, source: str, target: str, **folders: int) -> None:
        """See os.replace."""
        self.calls.append("rename")
        self._replace(source, target, **folders)


def open_descriptors() -> int:
    """Count them."""
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Watch the disk."""
    return Disk(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """Give a store with a credential."""
    store = FileStore(tmp_path)
    store.path.write_bytes(render_record(api_key_record(Secret("sk-old"))))
    return store


async def test_a_save_is_on_the_disk_when_it_is_done(store: FileStore, disk: Disk) -> None:
    """First the whole content, then its name, then the folder that has the name."""
    await store.save(RECORD)
    assert disk.calls == [f"{len(render_record(RECORD))} bytes", "rename", "folder"]


async def test_a_logout_is_on_the_disk_when_it_is_done(store: FileStore, disk: Disk) -> None:
    """Else a power cut would log in again who has logged out."""
    await store.delete()
    assert disk.calls == ["folder"]


async def test_a_file_system_that_cannot_sync_folders_will_do(store: FileStore, disk: Disk) -> None:
    """Some have no such thing, and say EINVAL: it is as durable there as it gets."""
    disk.error = errno.EINVAL
    await store.save(RECORD)
    assert await store.load() == RECORD


async def test_a_folder_that_fails_to_sync_is_warned_of(
    store: FileStore, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """Everybody sees the change already, so it has happened; it may not be there after a power cut."""
    disk.error = errno.EIO
    await store.save(RECORD)
    assert await store.load() == RECORD
    await store.delete()
    assert await store.load() is None
    assert caplog.text.count("may not outlast a power cut: Input/output error") == 2


async def test_the_error_is_the_one_that_came_first(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary file that cannot be removed, as on a disk that has become read-only, hides nothing."""

    def fail_with(number: int) -> Callable[..., None]:
        def fail(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        return fail

    monkeypatch.setattr(os, "replace", fail_with(errno.EIO))
    monkeypatch.setattr(os, "unlink", fail_with(errno.EROFS))
    with pytest.raises(StorageError, match="Input/output error"):
        await store.save(RECORD)


async def test_no_descriptor_is_left_open(store: FileStore, tmp_path: Path) -> None:
    """Neither by what is done nor by what fails; a daemon does it for months."""
    before = open_descriptors()
    for _ in range(5):
        async with store.locked():
            await store.save(RECORD)
            await store.delete()
    store.path.mkdir()
    (store.path / "x").touch()
    for _ in range(5):
        with pytest.raises(StorageError):
            await store.save(RECORD)
    assert open_descriptors() == before
