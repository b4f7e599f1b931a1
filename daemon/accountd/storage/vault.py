"""Where the accounts of a CODEX_HOME are that are not the active one: a list of all, and a store for each record.

There is nothing of it for people with one account; the first write makes the folder. The list has no secret. What
stands in it is the business of `accounts.account_list`; here it is bytes, which are replaced whole, under a lock.
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol

import trio

from accountd import paths
from accountd.files.read import read_own_file
from accountd.files.replace import find_unnamed, keep_aside, remove_file, replace_file
from accountd.storage.base import COMMIT_TIMEOUT
from accountd.storage.locks import CredentialLocks
from accountd.storage.memory import MemoryStore
from accountd.storage.rehearsal import rehearse
from accountd.storage.trouble import cannot
from accountd.system.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from accountd.storage.base import AuthStore

_RECORD: Final = re.compile(r"([a-z2-7]{6,})\.json")
"""The name of a record. So no file has an id that would be a name of something else."""


class Vault(Protocol):
    """The list and the records. Every method may raise StorageError, and nothing else."""

    def open_record(self, account_id: str) -> AuthStore:
        """Make the store of a record, which need not be there."""
        ...

    def find_records(self) -> list[str]:
        """Return the ids of the records that are there, as far as they can be listed: a keyring lists none."""
        ...

    async def read_list(self) -> bytes | None:
        """Read the list; None if there is none."""
        ...

    def locked(self) -> AbstractAsyncContextManager[None]:
        """Keep every other program from changing the list. Cancellable while it waits."""
        ...

    async def write_list(self, document: bytes | None) -> None:
        """Replace the list, or remove it. Call it with the list locked."""
        ...

    async def rehearse(self) -> None:
        """Raise StorageError, naming the place and a remedy, if no record or list could be written now.

        Nothing is made of a vault that is not there yet.
        """
        ...

    async def put_list_aside(self) -> str | None:
        """Give a list that cannot be read another name, and return that. Call it with the list locked."""
        ...


class FileVault:
    """A Vault in a folder of CODEX_HOME, with records wherever `open_record` has them."""

    def __init__(self, home: Path, open_record: Callable[[str], AuthStore]) -> None:
        self.open_record = open_record
        self._folder = home / paths.ACCOUNTS
        self._list = self._folder / paths.ACCOUNT_LIST
        self._locks = CredentialLocks(self._folder, paths.ACCOUNT_LIST)

    def find_records(self) -> list[str]:
        """See Vault.find_records."""
        folder = self._folder / paths.ACCOUNT_RECORDS
        try:
            names = sorted(each.name for each in folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise cannot("read", folder, error) from error
        return [found[1] for name in names if (found := _RECORD.fullmatch(name))]

    async def read_list(self) -> bytes | None:
        """See Vault.read_list."""
        await trio.lowlevel.checkpoint()
        try:
            return read_own_file(self._list)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise cannot("read", self._list, error) from error

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """See Vault.locked. Makes the folder, for its owner alone, and removes what a crash has left of a list."""
        async with self._locks.hold(COMMIT_TIMEOUT):
            with suppress(OSError):
                for leftover in find_unnamed(self._list):
                    remove_file(leftover)
            yield

    async def write_list(self, document: bytes | None) -> None:
        """See Vault.write_list."""
        try:
            if document is not None:
                await run_in_thread(replace_file, self._list, document)
            else:
                await run_in_thread(remove_file, self._list)
        except FileNotFoundError:  # it was to be removed
            return
        except OSError as error:
            raise cannot("written", self._list, error) from error

    async def rehearse(self) -> None:
        """See Vault.rehearse."""
        for document in (self._list, self._folder / paths.ACCOUNT_RECORDS / paths.ACCOUNT_LIST):
            if document.parent.exists():
                await run_in_thread(rehearse, document)

    async def put_list_aside(self) -> str | None:
        """See Vault.put_list_aside."""
        try:
            return await run_in_thread(keep_aside, self._list, "unreadable")
        except OSError as error:
            raise cannot("removed", self._list, error) from error


class MemoryVault:
    """A Vault that ends with the process: of `cli_auth_credentials_store = "ephemeral"`, and of the tests."""

    def __init__(self) -> None:
        self.records: dict[str, MemoryStore] = {}
        self.list: bytes | None = None
        self._lock = trio.Lock()

    def open_record(self, account_id: str) -> MemoryStore:
        """See Vault.open_record."""
        return self.records.setdefault(account_id, MemoryStore())

    def find_records(self) -> list[str]:
        """See Vault.find_records."""
        return [account_id for account_id, store in self.records.items() if store.record is not None]

    async def read_list(self) -> bytes | None:
        """See Vault.read_list."""
        await trio.lowlevel.checkpoint()
        return self.list

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """See Vault.locked."""
        async with self._lock:
            yield

    async def write_list(self, document: bytes | None) -> None:
        """See Vault.write_list."""
        await trio.lowlevel.checkpoint()
        self.list = document

    async def rehearse(self) -> None:
        """See Vault.rehearse. There is always room."""
        await trio.lowlevel.checkpoint()

    async def put_list_aside(self) -> str | None:
        """See Vault.put_list_aside."""
        await trio.lowlevel.checkpoint()
        self.list = None
        return None
