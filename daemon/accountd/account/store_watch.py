"""Finding out what is stored: at the start, and again whenever another program may have written it.

Such as `codex login`, an editor, another daemon. A store that cannot be read is not an empty one: what is known
stays, and it is read again at the next change, or before the next answer that would go by it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from accountd.errors import MalformedRecord, StorageError
from accountd.files.walk import check_folder
from accountd.supervisor import supervise
from accountd.system.file_watch import watch_file
from accountd.unforeseen import report

if TYPE_CHECKING:
    from pathlib import Path

    import trio

    from accountd.account.credential import Credential
    from accountd.storage.base import AuthRecord, AuthStore

_log = logging.getLogger(__name__)


class StoreWatch:
    """What an account's store has, brought into its credential. `changing` is the account's lock."""

    def __init__(self, credential: Credential, store: AuthStore, changing: trio.Lock) -> None:
        self._credential = credential
        self._store = store
        self._changing = changing
        self._unread = False  # the store could not be read, and so may have what is not known here
        self._has_followed = False

    async def load(self) -> None:
        """Read the store for the first time. A credential that cannot be read counts as none, and is warned of.

        Whatever is wrong with it, there is a daemon, in which one can log in and out.
        """
        credential = self._credential
        try:
            credential.hold(await self._read_first())
        except StorageError as error:
            self._unread = not isinstance(error, MalformedRecord)
            _log.warning("nobody is logged in, since the stored credential cannot be read: %s", error)
            credential.note_unreadable(error)
        except Exception as error:  # noqa: BLE001 - a bug fails this look, not the start
            report(_log, "reading what is stored", error)
            self._unread = True
        credential.take_as_told()

    async def _read_first(self) -> AuthRecord | None:
        try:
            await self._store.recover()
        except StorageError as error:
            _log.warning("what a crash may have left is not looked at yet: %s", error)
        return await self._store.load()

    async def reload(self) -> None:
        """Look at the store again, since another program may have written it; announce what is new there."""
        credential = self._credential
        async with self._changing:
            unreadable = None
            try:
                stored = await self._store.load()
            except MalformedRecord as error:
                if credential.is_unsaved:
                    return  # somebody else's file did not get to the disk whole either
                _log.warning("nobody is logged in, since the stored credential cannot be read: %s", error)
                stored, unreadable = None, error
            except StorageError as error:
                if not self._unread:
                    _log.warning("the store cannot be read, so the credential stays as it was: %s", error)
                self._unread = True
                if credential.record is None:
                    credential.note_unreadable(error)
                return
            self._unread = False
            if stored != credential.record and not credential.is_newer_than(stored):
                credential.give_way(stored)
            credential.note_unreadable(unreadable)

    @property
    def is_unread(self) -> bool:
        """Whether the store could not be read when it should have been, and is to be tried again.

        A keyring is not: each time could take seconds.
        """
        return self._unread and self._store.describe().kind == "file"

    async def read_if_unread(self) -> None:
        """Look at a store again that could not be read."""
        if self.is_unread:
            await self.reload()

    async def follow(self, path: Path) -> None:
        """Look after each change of a file, for ever, or for as long as changes are told: for the supervisor.

        The first thing of every further run is a look: the file may have changed since the one before failed.
        """
        with suppress(OSError):  # then the first login makes the folder, or says why it cannot
            check_folder(path.parent, make=True)
        missed, self._has_followed = self._has_followed, True
        await watch_file(path, self._look, missed=missed)

    async def _look(self) -> None:
        """Look until that goes well: the next change, which would be another reason to, may be days away."""
        await supervise("reading what is stored", self.reload)
