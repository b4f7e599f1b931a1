"""The credential in the keyring, else in `auth.json`: `cli_auth_credentials_store = "auto"`.

Which of the two holds it is never left open: `describe` says so and why, and the log tells of each change.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from accountd.errors import KeyringAbsent, StorageError
from accountd.storage.base import StoreDescription
from accountd.storage.document import parse_record
from accountd.storage.file import FileStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from accountd.storage.base import AuthRecord
    from accountd.storage.keyring import KeyringStore

_log = logging.getLogger(__name__)


class AutoStore:
    """An AuthStore of two places. Where both hold a credential, the one written last counts.

    Codex always takes the keyring's then. But a newer file is there because the keyring did not work, for us
    or for Codex, or because the person put it there; what the keyring holds is spent by then.
    """

    def __init__(self, home: Path, keyring: KeyringStore, file: FileStore | None = None) -> None:
        self._keyring = keyring
        self._file = file or FileStore(home)
        # When the credential that was seen in the keyring last was written, in Unix time; None is none seen.
        self._in_keyring_since: float | None = None
        self._place = keyring.describe()

    def describe(self) -> StoreDescription:
        """See AuthStore.describe."""
        return self._place

    async def rehearse_delete(self) -> None:
        """See AuthStore.rehearse_delete. What a keyring will do is not asked: it might wait for a person."""
        await self._file.rehearse_delete()

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """See AuthStore.locked."""
        async with self._file.locked():
            yield

    async def rehearse(self) -> None:
        """See AuthStore.rehearse. One of the two places is enough."""
        try:
            await self._keyring.rehearse()
        except StorageError as error:
            try:
                await self._file.rehearse()
            except StorageError as other:
                raise StorageError(f"{other}; and not in the keyring: {error}") from other

    async def recover(self) -> None:
        """See AuthStore.recover."""
        await self._file.recover()

    async def load(self) -> AuthRecord | None:
        """See AuthStore.load.

        When the keyring fails and there is no newer file, a credential that was seen in the keyring is not
        known to be gone: that is an error. So is a failure that may hide a credential never seen.
        """
        problem: StorageError | None = None
        record: AuthRecord | None = None
        try:
            record = await self._load_keyring()
        except StorageError as error:
            problem = error
        newer = self._file_is_newer()
        if newer is None or (self._in_keyring_since is not None and not newer):
            return self._settle_without_file(record, problem, beside=newer is not None)
        try:
            filed = await self._file.load()
        except StorageError as error:
            if record is None:
                raise
            _log.warning("the newer %s is not used, since it cannot be read: %s", self._file.path, error)
            self._settle(self._keyring.describe())
            return record
        if filed is None:  # it has gone in between
            return self._settle_without_file(record, problem, beside=False)
        self._settle_on_file(problem)
        return filed

    async def save(self, record: AuthRecord) -> None:
        """See AuthStore.save."""
        try:
            await self._keyring.save(record)
        except StorageError as error:
            if self._in_keyring_since is not None:
                self._in_keyring_since = -math.inf  # what is there is older than any file from now on
            self._settle_on_file(error)
            await self._file.save(record)
        else:
            self._in_keyring_since = math.floor(time.time())
            self._settle(self._keyring.describe())

    async def delete(self) -> None:
        """See AuthStore.delete. Both places are emptied, as far as they can be, before an error is raised."""
        await self._keyring.delete(absent_is_empty=self._in_keyring_since is None)
        self._in_keyring_since = None

    async def _load_keyring(self) -> AuthRecord | None:
        item = await self._keyring.read()
        self._in_keyring_since = None
        if item is None:
            return None
        record = parse_record(item.document)
        self._in_keyring_since = math.inf if item.modified is None else item.modified
        return record

    def _file_is_newer(self) -> bool | None:
        """Compare the file with the keyring, in whole seconds, which is how keyrings count. None is no file."""
        try:
            written = self._file.path.stat().st_mtime
        except FileNotFoundError:
            return None
        except OSError:
            return True  # whoever reads it will be told why it cannot be read
        return self._in_keyring_since is None or math.floor(written) > self._in_keyring_since

    def _settle_without_file(
        self, record: AuthRecord | None, problem: StorageError | None, *, beside: bool
    ) -> AuthRecord | None:
        if problem is None:
            place = self._keyring.describe()
            note = "the older auth.json beside it is not used" if beside else None
            self._settle(StoreDescription(place.kind, place.location, note))
            return record
        if self._in_keyring_since is not None or not isinstance(problem, KeyringAbsent):
            raise problem
        self._settle_on_file(problem)
        return None

    def _settle_on_file(self, problem: StorageError | None) -> None:
        if problem is not None:
            note = str(problem)
        elif self._in_keyring_since is None:
            note = "the keyring holds no login; the next one goes there"
        else:
            note = "it is newer than the login in the keyring, which is not used"
        place = self._file.describe()
        self._settle(StoreDescription(place.kind, place.location, note))

    def _settle(self, place: StoreDescription) -> None:
        if place == self._place:
            return
        self._place = place
        if place.note is None:
            _log.info("the login is kept in the %s (%s)", place.kind, place.location)
        else:
            _log.warning("the login is kept in the %s (%s): %s", place.kind, place.location, place.note)
