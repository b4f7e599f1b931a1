"""Each system call of each change of the credential, with the errors that a disk may give for it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import trio

from accountd.audit.file import AuditFile
from accountd.errors import AccountdError, StorageError
from accountd.sandbox import Script
from accountd.secret import Secret
from accountd.storage.base import AuthRecord, api_key_record
from accountd.storage.document import parse_record
from accountd.storage.file import FileStore
from fakes.world import open_world
from faults.disk import ERRORS, open_disk
from faults.operations import is_good_record, logged_in_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fakes.world import World

OLD, NEW = api_key_record(Secret("sk-the-old-one")), api_key_record(Secret("sk-the-new-one"))


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no thread, so that all is done in one: that is a fault of its own, and must go well.

    An idle thread of an earlier test would do as well as a new one, and the clock would jump while it works.
    """

    async def refuse(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(trio.to_thread, "run_sync", refuse)


async def save(store: FileStore) -> None:
    """Replace the credential."""
    async with store.locked():
        await store.save(NEW)


async def delete(store: FileStore) -> None:
    """Remove it."""
    async with store.locked():
        await store.delete()


async def load(store: FileStore) -> None:
    """Read it."""
    await store.load()


def read(home: Path) -> AuthRecord | None:
    """Say what is really there; text that is no credential is as it was put there."""
    path = home / "auth.json"
    if not path.exists():
        return None
    text = path.read_bytes()
    return None if text == b"{torn" else parse_record(text)


def names(home: Path) -> set[str]:
    """Name the files of a home, without their dates."""
    return {path.name.partition("-")[0] for path in home.iterdir()}


def write(home: Path, before: str) -> None:
    """Put something there: a credential, one that is torn, or nothing."""
    home.mkdir(exist_ok=True)
    for path in home.iterdir():
        path.unlink()
    if before == "old":
        (home / "auth.json").write_text('{"auth_mode": "apikey", "OPENAI_API_KEY": "sk-the-old-one"}')
    elif before == "torn":
        (home / "auth.json").write_text("{torn")


@pytest.mark.parametrize("before", ["old", "torn", "nothing"])
@pytest.mark.parametrize("work", [save, delete, load])
async def test_whichever_call_fails_the_store_is_whole(
    work: Callable[[FileStore], Awaitable[None]], before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error the old content is there, without one the new; nothing is left over; the next try is good."""
    home = tmp_path / "home"
    store, disk = FileStore(home), open_disk(monkeypatch)
    after = NEW if work is save else OLD if work is load and before == "old" else None
    write(home, before)
    with disk.watched():
        await _attempt(work, store)
    count = len(disk.calls)
    assert count >= (1 if work is load else 8)
    for number in range(count):
        for error in ERRORS[number % 3 :: 3]:  # each kind of call is made often enough for all of them
            write(home, before)
            old = read(home)
            with disk.watched(number, error):
                failure = await _attempt(work, store)
            assert number < len(disk.calls)
            assert read(home) == (after if failure is None else old), (disk.calls, number, errno.errorcode[error])
            assert names(home) <= {"auth.json", "auth.json.lock", "auth.lock", "auth.json.corrupt"}, disk.calls
            if failure is not None:
                assert any(words in failure for words in (os.strerror(error), "File exists", "not a credential"))
            assert not (await _attempt(work, store)) or (work, before) == (load, "torn")
            assert read(home) == after


async def _attempt(work: Callable[[FileStore], Awaitable[None]], store: FileStore) -> str | None:
    """Do it, and give the text of the one kind of error that there may be."""
    try:
        await work(store)
    except StorageError as error:
        return str(error)
    return None


async def _refresh(world: World) -> None:
    await world.refresher.refresh("forced")


async def _log_in(world: World) -> None:
    completion = await world.wait_completion(await world.start_device_login())
    if not completion["success"]:
        raise StorageError(str(completion["error"]))


async def _log_out(world: World) -> None:
    await world.account.log_out(lambda: None)


async def _supply_key(world: World) -> None:
    await world.logins.start_api_key(NEW.api_key or Secret(""), lambda _: None)


@pytest.mark.timeout(240)  # a login makes some hundred calls, its rehearsal included, and each has a turn to fail
@pytest.mark.parametrize("stride", [2, pytest.param(1, marks=pytest.mark.whole)])
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("work", [_refresh, _log_in, _log_out, _supply_key])
async def test_whichever_call_fails_memory_and_disk_agree(
    work: Callable[[World], Awaitable[None]],
    lasting: bool,
    stride: int,
    *,
    tmp_path: Path,
    autojump_clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change has happened, in both, or in neither; tokens of a refresh that the disk refuses are in memory."""
    disk = open_disk(monkeypatch)
    store = FileStore(tmp_path)
    async with open_world(Script(approve_after_polls=0, token_lifetime=1e6), store=store) as world:
        number = 0
        while True:
            await world.services.accounts.log_in(logged_in_record(world), announce=lambda: None)
            before = world.credential.current
            with disk.watched(number, ERRORS[number % len(ERRORS)], lasting=lasting):
                try:
                    await work(world)
                    failed = False
                except AccountdError:
                    failed = True
            if number >= len(disk.calls):
                break
            known, stored = world.credential.current, await store.load()
            if failed:
                assert known == before == stored, (disk.calls, number)
            if world.credential.is_unsaved:
                assert known != stored
                await world.refresher.save_again()  # as the daemon does after half a minute
            assert not world.credential.is_unsaved
            assert world.credential.current == await store.load(), (disk.calls, number)
            record, revoked = world.credential.current, failed and work is _log_out  # as is documented
            if record is not None and record.chatgpt is not None and not revoked:
                assert is_good_record(world, record), (disk.calls, number)
            await work(world)  # all is well without the fault
            number += stride
        assert number >= 6


@pytest.mark.parametrize("before", [b"", b"x" * (1 << 20)])
def test_whichever_call_fails_the_audit_log_goes_on(
    before: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line is written whole or not at all, with a warning; nothing is raised; the next line is written."""
    path = tmp_path / "log" / "audit.jsonl"
    disk, file, line = open_disk(monkeypatch), AuditFile(path), b'{"event": "x"}\n'
    number = 0
    while True:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(before)
        caplog.clear()
        with disk.watched(number, ERRORS[number % len(ERRORS)]):
            file.append(line)
        if number >= len(disk.calls):
            break
        content = path.read_bytes() if path.exists() else b""  # the full one may have been moved aside by then
        assert content.endswith(line) if not caplog.records else content in (before, before + line, b"")
        file.append(line)
        assert path.read_bytes().endswith(line)
        number += 1
    assert number >= 3


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "dangling link", "loop"])
async def test_what_is_no_file_is_told_and_left(kind: str, tmp_path: Path) -> None:
    """Nothing waits for a pipe or reads a device; what stands there is not replaced; without it all is well."""
    store = FileStore(tmp_path)
    match kind:
        case "folder":
            store.path.mkdir()
        case "pipe":
            os.mkfifo(store.path)
        case "device":
            store.path.symlink_to("/dev/zero")
        case "dangling link":
            store.path.symlink_to(tmp_path / "nowhere" / "auth.json")
        case _:
            store.path.symlink_to(store.path)
    told = [await _attempt(work, store) for work in (load, save)]
    if kind == "dangling link":
        assert told[0] is None
        assert "auth.json cannot be written: No such file or directory (os error 2); it is a link" in str(told[1])
    else:
        assert all(told)
    assert store.path.is_symlink() or store.path.exists()
    assert Path("/dev/zero").stat().st_mode & 0o170000 == stat.S_IFCHR  # noqa: ASYNC240 - it takes no time
    store.path.rmdir() if kind == "folder" else store.path.unlink()
    await save(store)
    assert read(tmp_path) == NEW


async def test_a_folder_that_vanishes_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a change, and during one: then it fails, and the next one is good."""
    home = tmp_path / "home"
    store = FileStore(home)
    await save(store)
    async with store.locked():
        for path in home.iterdir():
            path.unlink()
        home.rmdir()
        with pytest.raises(StorageError, match="No such file or directory"):
            await store.save(OLD)
    await save(store)
    assert read(home) == NEW
    for path in home.iterdir():
        path.unlink()
    home.rmdir()
    home.write_text("a file in its place")
    with pytest.raises(StorageError, match=r"File exists|Not a directory"):
        await save(store)
    home.unlink()
    await save(store)
    assert read(home) == NEW


async def test_a_store_that_cannot_be_read_at_first_is_read_when_it_can_be(
    tmp_path: Path, autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that starts on a disk in trouble looks again, when somebody asks."""
    disk, store = open_disk(monkeypatch), FileStore(tmp_path)
    write(tmp_path, "old")
    with disk.watched(0, errno.EIO, lasting=True):
        async with open_world(store=store) as world:
            known = [world.credential.current]
            for fails in (0, None):
                disk._fails = fails
                await world.refresher.refresh_if_due()
                known.append(world.credential.current)
            assert known == [None, None, OLD]
            assert world.heard[-1]["authMode"] == "apikey"


async def test_a_logout_that_cannot_read_the_store_forgets_nobody(
    tmp_path: Path, autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot be deleted either, the account is there as before; what is revoked is what was known."""
    disk, store = open_disk(monkeypatch), FileStore(tmp_path)
    async with open_world(store=store) as world:
        await world.services.accounts.log_in(logged_in_record(world), announce=lambda: None)
        before = world.credential.current
        with disk.watched(0, errno.EIO, lasting=True), pytest.raises(StorageError):
            await world.account.log_out(lambda: None)
        assert world.credential.current == before
        await world.account.log_out(lambda: None)
        assert world.credential.current is None


async def test_a_torn_file_does_not_replace_tokens_in_memory(
    tmp_path: Path, autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another program left half-written on a full disk is kept aside, and the tokens are stored over it."""
    disk, store = open_disk(monkeypatch), FileStore(tmp_path)
    async with open_world(Script(), store=store) as world:
        await world.services.accounts.log_in(logged_in_record(world), announce=lambda: None)
        with disk.watched():
            await world.refresher.refresh("forced")
        with disk.watched(disk.calls.index("write"), errno.ENOSPC):
            await world.refresher.refresh("forced")
        assert world.credential.is_unsaved
        known = world.credential.current
        store.path.write_text("{torn")
        await world.account.store_watch.reload()
        assert world.credential.current == known
        await world.refresher.save_again()
        assert await store.load() == world.credential.current == known
        assert "auth.json.corrupt" in names(tmp_path)
