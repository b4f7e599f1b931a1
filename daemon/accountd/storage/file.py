"""The credential as `auth.json` in CODEX_HOME: plain text that only its owner can read, as Codex keeps it."""

from __future__ import annotations

import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import trio

from accountd import paths
from accountd.errors import StorageError, describe_os_error
from accountd.files.read import FileTooLarge, read_own_file
from accountd.files.replace import find_aside, find_unnamed, keep_aside, remove_file, replace_file
from accountd.files.walk import check_folder
from accountd.storage.base import (
    COMMIT_TIMEOUT,
    MalformedRecord,
    StoreDescription,
    parse_record,
    render_record,
)
from accountd.storage.leftovers import settle_leftovers
from accountd.storage.locks import CredentialLocks
from accountd.system.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from accountd.storage.base import AuthRecord

_log = logging.getLogger(__name__)


_MARK: Final = "corrupt-"
"""How the name ends, before a time, of a document that could not be read and was kept aside."""

_RECOVERY: Final = 2.0
"""Seconds for which a start waits for the locks, to take over what a crash has left, as the next refresh does."""


class FileStore:
    """An AuthStore. Writing is done in a thread, since it waits for the disk; a cancellation waits for it.

    Reading is not: a few kilobytes come faster than a thread, which would then linger for seconds.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._locks = CredentialLocks(home)
        self.path = home / "auth.json"

    def describe(self) -> StoreDescription:
        """See AuthStore.describe."""
        return StoreDescription("file", paths.tell(self.path))

    async def load(self) -> AuthRecord | None:
        """See AuthStore.load."""
        await trio.lowlevel.checkpoint()
        with _memory_permitting():
            return _load(self.path)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """See AuthStore.locked. Makes CODEX_HOME, readable by its owner alone, if there is none yet."""
        try:
            with _memory_permitting():
                check_folder(self._home, make=True)
        except OSError as error:
            raise StorageError(describe_os_error(error)) from error
        async with AsyncExitStack() as held:
            with _memory_permitting():
                await held.enter_async_context(self._locks.hold(COMMIT_TIMEOUT))
                await self._settle()
            yield

    async def save(self, record: AuthRecord) -> None:
        """See AuthStore.save."""
        with _memory_permitting():
            await run_in_thread(_save, self.path, render_record(record))

    async def delete(self) -> None:
        """See AuthStore.delete. What was kept aside goes as well, since there are tokens in it."""
        await self._remove(_delete)

    async def delete_document(self) -> None:
        """Remove the document alone, as when another place has the credential now."""
        await self._remove(_remove)

    async def _remove(self, work: Callable[[Path], None]) -> None:
        with _memory_permitting():
            try:
                await run_in_thread(work, self.path)
            except OSError as error:
                raise StorageError(describe_os_error(error)) from error

    def find_others(self) -> list[Path]:
        """List what may hold tokens beside the document, kept aside or left by a crash. Raises StorageError."""
        try:
            return _find_others(self.path)
        except OSError as error:
            raise StorageError(describe_os_error(error)) from error

    async def recover(self) -> None:
        """See AuthStore.recover."""
        with trio.move_on_after(_RECOVERY), _memory_permitting():
            try:
                leftovers = find_unnamed(self.path)
            except OSError:  # whoever reads the store is told
                return
            if leftovers:
                async with self.locked():
                    pass

    async def _settle(self) -> None:
        """Have the latest tokens stored, before anybody goes on with those that are."""
        try:
            if find_unnamed(self.path):
                await run_in_thread(settle_leftovers, self.path, _load(self.path))
        except MalformedRecord:
            return  # it is not known what a later state of that would be; the next login replaces it
        except OSError as error:
            raise StorageError(describe_os_error(error)) from error


@contextmanager
def _memory_permitting() -> Iterator[None]:
    """Take a want of memory for a failure of the store, which may be over the next time."""
    try:
        yield
    except MemoryError as error:
        raise StorageError("out of memory") from error


def _load(path: Path) -> AuthRecord | None:
    try:
        return parse_record(read_own_file(path))
    except FileNotFoundError:
        return None
    except FileTooLarge as error:
        raise MalformedRecord(f"the document is {error.strerror}, and so no credential") from error
    except OSError as error:
        raise StorageError(describe_os_error(error)) from error


def _save(path: Path, document: bytes) -> None:
    try:
        _keep_malformed_aside(path)
        replace_file(path, document)
    except OSError as error:
        raise StorageError(describe_os_error(error)) from error


def _keep_malformed_aside(path: Path) -> None:
    """Give a document that cannot be read, and so is about to be lost, a second name."""
    try:
        _load(path)
    except MalformedRecord:
        if path.stat().st_size == 0:
            return
        aside = keep_aside(path, f"{_MARK}{time.strftime('%Y%m%dT%H%M%S')}")
        _log.warning("%s could not be read; it is kept as %s while a new login replaces it", path, aside)


def _delete(path: Path) -> None:
    """Remove what may hold tokens of the login: what was kept aside or left by a crash, and last the document."""
    for other in _find_others(path):
        _remove(other)
    _remove(path)


def _find_others(path: Path) -> list[Path]:
    with suppress(FileNotFoundError):  # there is no folder, of which nothing else knows yet
        return [*find_unnamed(path), *find_aside(path, _MARK)]
    return []


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        remove_file(path)
