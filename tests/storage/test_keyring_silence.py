"""A keyring that does not answer: how long it is waited for, and what it may still do when it was given up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.errors import KeyringError, StorageError
from accountd.storage.keyring import TIMEOUT, Call, Item, KeyringStore
from fakes.keyring import RECORD, FakeKeyring, Stuck, operations

if TYPE_CHECKING:
    from pathlib import Path


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
