"""A keyring in memory that does what its test says, ways to run it that are no threads, and a store on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio

from accountd.secret import Secret
from accountd.storage.base import api_key_record
from accountd.storage.keyring import Item, KeyringStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from accountd.errors import KeyringError
    from accountd.storage.base import AuthRecord
    from accountd.storage.keyring import Call

T = TypeVar("T")

RECORD = api_key_record(Secret("sk-new"))


class FakeKeyring:
    """A Keyring. `failure` is raised by whatever is asked of it; `forgetful`, it says yes and keeps nothing."""

    service = "Codex Auth"

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.failure: KeyringError | None = None
        self.forgetful = False
        self.now: float | None = 1000.0

    def read(self, call: Call, account: str) -> Item | None:
        """See Keyring.read."""
        self._fail()
        return self.items.get(account)

    def write(self, call: Call, account: str, document: bytes) -> None:
        """See Keyring.write."""
        self._fail()
        call.before_change()
        if not self.forgetful:
            self.items[account] = Item(document, self.now)

    def remove(self, call: Call, account: str) -> None:
        """See Keyring.remove."""
        self._fail()
        if account in self.items:
            call.before_change()
            del self.items[account]

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


async def at_once(work: Callable[[], T], /) -> T:
    """Run the work here and now."""
    await trio.lowlevel.checkpoint()
    return work()


class Stuck:
    """Run the work only when the test says so, or at once without ever answering; the caller waits for nothing."""

    def __init__(self, *, works: bool = False) -> None:
        self.works = works
        self.left_behind: list[Callable[[], object]] = []

    async def __call__(self, work: Callable[[], T], /) -> T:
        """See InThread."""
        if self.works:
            work()
        else:
            self.left_behind.append(work)
        await trio.sleep_forever()
        raise AssertionError("nobody wakes it")


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
