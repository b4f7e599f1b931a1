"""The credential as `auth.json` in CODEX_HOME: plain text that only its owner can read, as Codex keeps it.

CODEX_HOME and `auth.json` may be links, and change their target at any time. A look follows them. But what is done
with the locks held is done to what was locked: the tokens of one account must not end up in the file of another.
"""

from __future__ import annotations

import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import trio

from accountd import paths
from accountd.errors import MalformedRecord, StorageError, UnreadableRecord
from accountd.files.ownership import UnsafePath
from accountd.files.read import FileTooLarge, read_own_file
from accountd.files.replace import (
    find_aside,
    find_redo,
    find_unnamed,
    keep_aside,
    rehearse_removing,
    remove_file,
    replace_file,
)
from accountd.storage.base import COMMIT_TIMEOUT, StoreDescription
from accountd.storage.document import parse_record, render_record
from accountd.storage.leftovers import redo_writing, settle_leftovers
from accountd.storage.locks import CredentialLocks
from accountd.storage.rehearsal import rehearse
from accountd.storage.trouble import cannot
from accountd.system.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from accountd.storage.base import AuthRecord
    from accountd.storage.locks import Place
    from accountd.storage.trouble import Work

_log = logging.getLogger(__name__)


_MARK: Final = "corrupt-"
"""How the name ends, before a time, of a document that could not be read and was kept aside."""

_NOTHING: Final = b"null\n"
"""What a document has in it that cannot be removed, once it is nobody's: no credential, also for Codex."""

_RECOVERY: Final = 2.0
"""Seconds for which a start waits for the locks, to take over what a crash has left, as the next refresh does."""


class FileStore:
    """An AuthStore. Writing is done in a thread, since it waits for the disk; a cancellation waits for it.

    Reading is not: a few kilobytes come faster than a thread, which would then linger for seconds.
    """

    def __init__(self, home: Path, name: str = paths.CREDENTIAL) -> None:
        self._home = home
        self._locks = CredentialLocks(home, name)
        self._locked: Place | None = None
        self.path = home / name

    @property
    def home(self) -> Path:
        """The folder that the credential is of: the real one that was locked, while it is."""
        return self._locked.home if self._locked is not None else self._home

    @property
    def _document(self) -> Path:
        return self._locked.document if self._locked is not None else self.path

    def describe(self) -> StoreDescription:
        """See AuthStore.describe."""
        return StoreDescription("file", paths.tell(self.path))

    async def load(self) -> AuthRecord | None:
        """See AuthStore.load."""
        await trio.lowlevel.checkpoint()
        with _memory_permitting():
            return _load(self._document)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """See AuthStore.locked. Makes CODEX_HOME, readable by its owner alone, if there is none yet."""
        async with AsyncExitStack() as held:
            with _memory_permitting():
                self._locked = await held.enter_async_context(self._locks.hold(COMMIT_TIMEOUT))
                held.callback(self._unlock)
                await self._settle()
            yield

    def _unlock(self) -> None:
        self._locked = None

    async def rehearse(self) -> None:
        """See AuthStore.rehearse."""
        with _memory_permitting():
            await run_in_thread(rehearse, self._locks.rehearse().document)

    async def rehearse_delete(self) -> None:
        """See AuthStore.rehearse_delete."""
        await trio.lowlevel.checkpoint()
        with _memory_permitting(), _said_of("removed", self._document), suppress(FileNotFoundError):
            rehearse_removing(self._document)

    async def rehearse_locks(self) -> None:
        """Do the part of a rehearsal that other stores share with this one."""
        await trio.lowlevel.checkpoint()
        with _memory_permitting():
            self._locks.rehearse()

    async def save(self, record: AuthRecord) -> None:
        """See AuthStore.save."""
        with _memory_permitting():
            await run_in_thread(_save, self._document, render_record(record))

    async def delete(self) -> None:
        """See AuthStore.delete. What was kept aside goes as well, since there are tokens in it."""
        await self._remove(_delete)

    async def delete_document(self) -> None:
        """Remove the document alone, as when another place has the credential now."""
        await self._remove(_remove)

    async def _remove(self, work: Callable[[Path], None]) -> None:
        with _memory_permitting(), _said_of("removed", self._document):
            await run_in_thread(work, self._document)

    def find_others(self) -> list[Path]:
        """List what may hold tokens beside the document, kept aside or left by a crash. Raises StorageError."""
        with _said_of("read", self.path.parent):
            return _find_others(self.path)

    async def recover(self) -> None:
        """See AuthStore.recover."""
        self._locks.look()
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
        path = self._document
        with _said_of("written", path):
            if not find_unnamed(path):
                return
            try:
                stored = _load(path)
            except MalformedRecord:
                if not find_redo(path):  # it is not known what a later state of that would be: a login replaces it
                    return
                await run_in_thread(redo_writing, path)
            else:
                await run_in_thread(settle_leftovers, path, stored)


@contextmanager
def _said_of(be: Work, path: Path) -> Iterator[None]:
    """Make a StorageError of what the disk has against the path."""
    try:
        yield
    except OSError as error:
        raise cannot(be, path, error) from error


@contextmanager
def _memory_permitting() -> Iterator[None]:
    """Take a want of memory for a failure of the store, which may be over the next time."""
    try:
        yield
    except MemoryError as error:
        raise StorageError("out of memory") from error


def _load(path: Path) -> AuthRecord | None:
    try:
        document = read_own_file(path)
        return None if document == _NOTHING else parse_record(document)
    except FileNotFoundError:
        return None
    except FileTooLarge as error:
        raise MalformedRecord(
            f"{paths.tell(path)}: the document is {error.strerror}, and so no credential"
        ) from error
    except MalformedRecord as error:
        raise MalformedRecord(f"{paths.tell(path)}: {error}") from None
    except (UnsafePath, PermissionError) as error:
        told = cannot("read", path, error)
        raise UnreadableRecord(told.problem, told.remedy) from error
    except OSError as error:
        raise cannot("read", path, error) from error


def _save(path: Path, document: bytes) -> None:
    with _said_of("written", path):
        _keep_unreadable_aside(path)
        replace_file(path, document)


def _keep_unreadable_aside(path: Path) -> None:
    """Give a document that cannot be read, and so is about to be lost, another name."""
    try:
        _load(path)
    except (MalformedRecord, UnreadableRecord) as error:
        with suppress(FileNotFoundError):  # it has gone by now
            if path.stat().st_size > 0:
                aside = keep_aside(path, f"{_MARK}{time.strftime('%Y%m%dT%H%M%S')}")
                _log.warning("%s; it is kept as %s while a new login replaces it", error, aside)


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
        remove_file(path, nothing=_NOTHING)
