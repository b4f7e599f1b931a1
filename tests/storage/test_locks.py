"""The locks that are shared with other programs."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import trio
import trio.testing

from accountd.errors import CredentialsLocked, StorageError
from accountd.paths import CREDENTIAL_LOCKS
from accountd.storage import lock_file
from accountd.storage.lock_holder import Holder
from accountd.storage.locks import BRIEFLY, CredentialLocks

if TYPE_CHECKING:
    from collections.abc import Iterator


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")

_HOLD = """
import fcntl, os, sys
path, uid, hides = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "hides"
os.setgroups([]); os.setgid(uid); os.setuid(uid)
fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
taker = os.getpid()
if not hides or not os.fork():  # else who has taken it ends, and its child goes on to have it
    while hides and os.getppid() == taker:
        pass
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def flock_of(uid: int, path: Path, *, hides: bool = False) -> Iterator[int]:
    """Have another user's process hold a lock that stock Codex has made, with mode 0644; give its pid."""
    path.parent.chmod(0o755)
    path.touch()
    path.chmod(0o644)
    command = [sys.executable, "-I", "-c", _HOLD, str(path), str(uid), "hides" if hides else ""]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        if hides:
            process.wait()
        yield process.pid
        process.stdin.close()


@contextmanager
def flock_elsewhere(path: Path) -> Iterator[None]:
    """Hold a lock as another program does: through an open file of its own."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        os.close(descriptor)


def is_free(path: Path) -> bool:
    """Say whether another program could take the lock now."""
    try:
        with flock_elsewhere(path):
            return True
    except BlockingIOError:
        return False


async def test_both_locks_are_held_for_the_block(tmp_path: Path) -> None:
    """Inside, nobody else can take either; after it, both are free, and readable by their owner alone."""
    async with CredentialLocks(tmp_path).hold(1):
        assert not any(is_free(tmp_path / name) for name in CREDENTIAL_LOCKS)
    assert all(is_free(tmp_path / name) for name in CREDENTIAL_LOCKS)
    assert all((tmp_path / name).stat().st_mode & 0o777 == 0o600 for name in CREDENTIAL_LOCKS)


@pytest.mark.parametrize("name", CREDENTIAL_LOCKS)
async def test_either_lock_is_waited_for(tmp_path: Path, autojump_clock: trio.testing.MockClock, name: str) -> None:
    """While another program has one of them, neither is kept from it or others, and the event loop is free."""
    other = CREDENTIAL_LOCKS[1 - CREDENTIAL_LOCKS.index(name)]
    async with trio.open_nursery() as nursery:
        with flock_elsewhere(tmp_path / name):
            taken = trio.Event()

            async def take() -> None:
                async with CredentialLocks(tmp_path).hold(30):
                    taken.set()

            nursery.start_soon(take)
            await trio.sleep(13)
            assert not taken.is_set()
            assert is_free(tmp_path / other)
        await taken.wait()
        assert trio.current_time() < 13.5


async def test_waiting_ends_with_a_clear_error(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A program that never lets go is given up after the time that the caller allows."""
    started = trio.current_time()
    with flock_elsewhere(tmp_path / CREDENTIAL_LOCKS[0]):
        with pytest.raises(
            StorageError,
            match=rf"another program has held the credential lock {tmp_path / CREDENTIAL_LOCKS[0]} for 30 s",
        ):
            async with CredentialLocks(tmp_path).hold(30):
                raise AssertionError("the lock was held")
        assert 30 <= trio.current_time() - started < 31
        assert is_free(tmp_path / CREDENTIAL_LOCKS[1])


async def test_waiting_can_be_cancelled(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Whoever waits for a lock may leave, and leaves nothing locked."""
    with flock_elsewhere(tmp_path / CREDENTIAL_LOCKS[1]), trio.move_on_after(5) as scope:
        async with CredentialLocks(tmp_path).hold(30):
            raise AssertionError("the lock was held")
    assert scope.cancelled_caught
    assert all(is_free(tmp_path / name) for name in CREDENTIAL_LOCKS)


async def test_two_tasks_take_turns(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Within one process the locks exclude as well: each opens the files for itself."""
    inside = 0

    async def take() -> None:
        nonlocal inside
        async with CredentialLocks(tmp_path).hold(60):
            inside += 1
            assert inside == 1
            await trio.sleep(1)
            inside -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(take)


async def test_a_home_that_can_be_none_is_an_error(tmp_path: Path) -> None:
    """Where the files cannot be made, the error has the path and the system's word."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=rf"{tmp_path}/file cannot be used: Not a directory \(os error 20\)"):
        async with CredentialLocks(tmp_path / "file").hold(1):
            raise AssertionError("the lock was held")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
async def test_a_file_system_without_locks_is_told_of_once(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It keeps nobody from logging in, and is not taken for a lock that somebody holds."""

    def refuse(_descriptor: int, _operation: int) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    held = CredentialLocks(tmp_path)
    for _ in range(2):
        async with held.hold(30):
            pass
    words = f"the file system of {tmp_path} has no locks ({os.strerror(number)}): use this login in one program at"
    assert caplog.text.count(words) == 1


async def test_the_lock_of_a_linked_document_is_beside_the_real_one(tmp_path: Path) -> None:
    """As Codex has it; so two homes with links to one file keep each other out, though not from other files."""
    homes = [tmp_path / name for name in ("a", "b", "c")]
    (tmp_path / "dots").mkdir()
    for home, name in zip(homes, ("login.x", "login.x", "other"), strict=True):
        home.mkdir()
        (home / "auth.json").symlink_to(f"../dots/{name}")
    async with CredentialLocks(homes[0]).hold(1) as place:
        assert place.document == tmp_path / "dots" / "login.x"
        assert not is_free(tmp_path / "dots" / "login.json.lock")
        async with CredentialLocks(homes[2]).hold(0):
            pass
        with pytest.raises(CredentialsLocked):
            async with CredentialLocks(homes[1]).hold(0):
                pass


async def test_a_link_that_is_changed_while_the_lock_is_waited_for_is_followed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """What is locked is what the link leads to in the end."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "home").symlink_to("old")
    async with trio.open_nursery() as nursery:
        with flock_elsewhere(tmp_path / "old" / CREDENTIAL_LOCKS[1]):

            async def take() -> None:
                async with CredentialLocks(tmp_path / "home").hold(30) as place:
                    assert place.home == tmp_path / "new"
                    assert not is_free(tmp_path / "new" / CREDENTIAL_LOCKS[1])

            nursery.start_soon(take)
            await trio.sleep(1)
            (tmp_path / "home").unlink()
            (tmp_path / "home").symlink_to("new")


@pytest.mark.process
@on_linux
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("name", CREDENTIAL_LOCKS)
@pytest.mark.parametrize("uid", [65534, 12345])
async def test_another_user_s_process_is_got_past_at_once(
    name: str, uid: int, home: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be no program of ours. It keeps its lock on a file that nobody uses any more, and the log names it."""
    with flock_of(uid, home / name) as pid:
        async with CredentialLocks(home).hold(30):
            assert not any(is_free(home / each) for each in CREDENTIAL_LOCKS)
        async with CredentialLocks(home).hold(30):
            pass
        assert trio.current_time() < 1
        assert (home / name).stat().st_mode & 0o777 == 0o600
    told = [record.getMessage() for record in caplog.records if "locked by" in record.getMessage()]
    assert len(told) == 1
    assert re.search(rf"{name} was locked by python\S* \(pid {pid}, uid {uid}\), no program of yours", told[0])


@pytest.mark.process
@on_linux
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_who_cannot_be_seen_is_waited_for_and_then_got_past(
    home: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A lock can be left to a child, and then the system names nobody. Ours hold theirs for less than that."""
    with flock_of(65534, home / CREDENTIAL_LOCKS[1], hides=True):
        async with CredentialLocks(home).hold(30):
            assert 30 <= trio.current_time() < 31
        async with CredentialLocks(home).hold(30):
            assert trio.current_time() < 31
    assert "was locked by somebody who cannot be seen from here" in caplog.text


@on_linux
async def test_a_program_of_ours_is_named_and_remembered(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """It is waited for as long as ever, but not each time; after a minute, or for another one, it is again."""
    held = CredentialLocks(tmp_path)
    waited = []
    with flock_elsewhere(tmp_path / CREDENTIAL_LOCKS[1]):
        for pause in (0, 10, 60):
            await trio.sleep(pause)
            begun = trio.current_time()
            with pytest.raises(
                CredentialsLocked, match=rf"the credential lock .* for \d+ s: .*\(pid {os.getpid()}\)$"
            ):
                async with held.hold(30):
                    raise AssertionError("the lock was held")
            waited.append(round(trio.current_time() - begun, 3))
    assert waited == [30, BRIEFLY, 30]
    async with held.hold(30):
        pass


async def test_a_rehearsal_waits_for_nobody(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Who refreshes now has let go of the locks before a login needs them; but not one who never does so."""
    held = CredentialLocks(tmp_path)
    with flock_elsewhere(tmp_path / CREDENTIAL_LOCKS[1]):
        assert held.rehearse().document == tmp_path / "auth.json"
        with pytest.raises(CredentialsLocked):
            async with held.hold(30):
                raise AssertionError("the lock was held")
        if sys.platform == "linux":
            with pytest.raises(CredentialsLocked, match=rf"auth\.lock for 30 s: .*\(pid {os.getpid()}\)$"):
                held.rehearse()
    held.rehearse()


@pytest.mark.process
@on_linux
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_a_rehearsal_changes_no_lock(home: Path, autojump_clock: trio.testing.MockClock) -> None:
    """None is made; one that another process holds stays, with its mode, also where a change would replace it."""
    held = CredentialLocks(home)
    held.rehearse()
    assert not any((home / name).exists() for name in CREDENTIAL_LOCKS)
    path = home / CREDENTIAL_LOCKS[1]
    path.symlink_to("nowhere/auth.lock")
    with pytest.raises(StorageError, match="it is a link to where nothing is: `mkdir -p "):
        held.rehearse()
    path.unlink()
    with flock_of(65534, path):
        for owner, mode in ((0, 0o644), (0, 0o666), (65534, 0o600)):
            os.chown(path, owner, owner)
            path.chmod(mode)
            before = path.stat()
            held.rehearse()
            assert path.stat() == before
        async with held.hold(30):
            assert path.stat().st_ino != before.st_ino


async def test_where_the_system_names_nobody_all_are_respected(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another system than Linux, any of them may be stock Codex."""
    monkeypatch.setattr(lock_file, "find_holders", lambda _: None)
    with flock_elsewhere(tmp_path / CREDENTIAL_LOCKS[1]):
        with pytest.raises(CredentialsLocked, match=r"the credential lock .*auth\.lock for 30 s$"):
            async with CredentialLocks(tmp_path).hold(30):
                raise AssertionError("the lock was held")


@pytest.mark.parametrize(
    ("uids", "is_foreign"),
    [({1000}, False), ({0}, False), ({1000, 0}, False), ({65534}, True), ({65534, 0}, True), (set(), False)],
)
def test_who_borrows_root_s_rights_is_not_root(
    uids: set[int], is_foreign: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked file can be left open to a program such as `passwd`, which acts as root for whoever starts it."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Holder(4711, "codex", frozenset(uids)).is_foreign == is_foreign
