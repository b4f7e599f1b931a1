"""The locks that are shared with other programs."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest
import trio
import trio.testing

from accountd.errors import StorageError
from accountd.storage.locks import NAMES, hold_credential_locks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
    async with hold_credential_locks(tmp_path, 1):
        assert not any(is_free(tmp_path / name) for name in NAMES)
    assert all(is_free(tmp_path / name) for name in NAMES)
    assert all((tmp_path / name).stat().st_mode & 0o777 == 0o600 for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
async def test_either_lock_is_waited_for(tmp_path: Path, autojump_clock: trio.testing.MockClock, name: str) -> None:
    """While another program has one of them, neither is kept from it or others, and the event loop is free."""
    other = NAMES[1 - NAMES.index(name)]
    async with trio.open_nursery() as nursery:
        with flock_elsewhere(tmp_path / name):
            taken = trio.Event()

            async def take() -> None:
                async with hold_credential_locks(tmp_path, 30):
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
    with flock_elsewhere(tmp_path / NAMES[0]):
        with pytest.raises(StorageError, match="another program has held the credential lock for 30 s"):
            async with hold_credential_locks(tmp_path, 30):
                raise AssertionError("the lock was held")
        assert 30 <= trio.current_time() - started < 31
        assert is_free(tmp_path / NAMES[1])


async def test_waiting_can_be_cancelled(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Whoever waits for a lock may leave, and leaves nothing locked."""
    with flock_elsewhere(tmp_path / NAMES[1]), trio.move_on_after(5) as scope:
        async with hold_credential_locks(tmp_path, 30):
            raise AssertionError("the lock was held")
    assert scope.cancelled_caught
    assert all(is_free(tmp_path / name) for name in NAMES)


async def test_two_tasks_take_turns(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Within one process the locks exclude as well: each opens the files for itself."""
    inside = 0

    async def take() -> None:
        nonlocal inside
        async with hold_credential_locks(tmp_path, 60):
            inside += 1
            assert inside == 1
            await trio.sleep(1)
            inside -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(take)


async def test_a_folder_without_locks_is_an_error(tmp_path: Path) -> None:
    """Where the files cannot be made, the system's word is passed on."""
    with pytest.raises(StorageError, match=r"No such file or directory \(os error 2\)"):
        async with hold_credential_locks(tmp_path / "missing", 1):
            raise AssertionError("the lock was held")


async def test_a_file_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems have none: that is said at once, and not taken for a lock that somebody holds."""

    def refuse(_descriptor: int, _operation: int) -> NoReturn:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorageError, match=r"cannot lock the credentials: No locks available"):
        async with hold_credential_locks(tmp_path, 30):
            pass
