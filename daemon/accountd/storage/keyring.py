"""The credential in the person's keyring: `cli_auth_credentials_store = "keyring"`, laid out as Codex does it.

A keyring is foreign code that may wait for a person, or for nobody at all. Here is said once how long it is
waited for, and what becomes of a call that takes longer. The keyring of Linux is in `secret_service`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec
import trio

from accountd import paths
from accountd.errors import (
    KeyringAbsent,
    KeyringError,
    KeyringLocked,
    MalformedRecord,
    StorageError,
    describe_foreign,
)
from accountd.storage.base import StoreDescription
from accountd.storage.document import parse_record, render_record
from accountd.storage.file import FileStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from accountd.storage.base import AuthRecord

SERVICE: Final = "Codex Auth"
SERVICE_OF_ACCOUNTS: Final = "accountd"
"""Of the records of accounts that are not the active one, which are nothing to Codex."""

TIMEOUT: Final = 5.0
"""Seconds for one call, which takes tenths of one at most. The rest is for a desktop that is only just starting."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


LIBRARY_MISSING: Final = (
    "accountd was installed without what it needs for keyrings",
    "install it with its extra, `accountd[keyring]`",
)
"""What is wrong, and the remedy. It is no `KeyringAbsent` where there may be a keyring: that may hold the login."""


class Item(msgspec.Struct, frozen=True):
    """A document in a keyring. `modified` is Unix time, None where the keyring does not tell."""

    document: bytes
    modified: float | None = None

    def __repr__(self) -> str:
        return f"Item(••••, modified={self.modified})"


class Call:
    """A call of a keyring, in a thread that nobody can stop. Given up, it must not change anything any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given_up = False
        self._changing = False
        self._hang_up: Callable[[], None] | None = None

    def on_give_up(self, hang_up: Callable[[], None]) -> None:
        """Name what cuts the thread off from the keyring; it is run by another thread, and may raise OSError."""
        with self._lock:
            self._check()
            self._hang_up = hang_up

    def before_change(self) -> None:
        """Announce a change that cannot be called back. Raises KeyringError if nobody waits for it any more."""
        with self._lock:
            self._check()
            self._changing = True

    def give_up(self) -> bool:
        """Forbid changes that have not begun, and say whether one has, so that its outcome is not known."""
        with self._lock:
            self._given_up = True
            if self._hang_up is not None:
                with suppress(OSError):  # the connection is closed already
                    self._hang_up()
            return self._changing

    def _check(self) -> None:
        if self._given_up:
            raise KeyringError("the keyring was given up")


class Keyring(Protocol):
    """The items of one service in a keyring of some platform. Called in a thread; raises KeyringError alone."""

    service: str

    def read(self, call: Call, account: str) -> Item | None:
        """Read the document of an account; None if there is none, and none could be hidden."""
        ...

    def write(self, call: Call, account: str, document: bytes) -> None:
        """Create or replace the document. Announces that to `call` right before."""
        ...

    def remove(self, call: Call, account: str) -> None:
        """Remove the document, if there is one. Announces that to `call` right before."""
        ...


class InThread(Protocol):
    """A way to run what blocks. It is left behind when it is cancelled."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Run `work`, and give what it gives."""
        ...


class KeyringStore:
    """An AuthStore. An `auth.json` beside it is not read; a save removes it, and so does a delete.

    A call that takes too long is a StorageError, and its thread is left behind, cut off from the keyring. Only
    one is ever alive, so that calls cannot overtake each other, and those that hang cannot pile up. A change
    that the keyring has been sent by then may still happen; the error says so.
    """

    def __init__(
        self,
        home: Path,
        keyring: Keyring,
        *,
        timeout: float = TIMEOUT,
        in_thread: InThread | None = None,
        file: FileStore | None = None,
        account_id: str | None = None,
    ) -> None:
        self._home = home
        self._keyring = keyring
        self._file = file or FileStore(home)
        self._timeout = timeout
        self._in_thread = in_thread or _one_thread()
        self._account_id = account_id

    @property
    def account(self) -> str:
        """The name under which Codex keeps the credential of this CODEX_HOME; links to it are followed.

        The records of other accounts have names of ours beside it.
        """
        home = self._file.home if self._account_id is None else self._home
        digest = hashlib.sha256(paths.tell(os.path.realpath(home)).encode()).hexdigest()[:16]
        return f"cli|{digest}" if self._account_id is None else f"acct|{digest}|{self._account_id}"

    def describe(self) -> StoreDescription:
        """See AuthStore.describe."""
        return StoreDescription("keyring", f"{self._keyring.service}, {self.account}")

    async def recover(self) -> None:
        """See AuthStore.recover."""
        await self._file.recover()

    async def rehearse(self) -> None:
        """See AuthStore.rehearse. The keyring has to keep, give back and remove an item that is no credential."""
        await self._file.rehearse_locks()
        await self._run(partial(_rehearse, self._keyring, self.account))

    async def load(self) -> AuthRecord | None:
        """See AuthStore.load."""
        item = await self.read()
        return None if item is None else parse_record(item.document)

    async def read(self) -> Item | None:
        """Read the document as it is kept."""
        return await self._run(partial(_read, self._keyring, self.account))

    async def rehearse_delete(self) -> None:
        """See AuthStore.rehearse_delete. What a keyring will do is not asked: it might wait for a person."""
        await self._file.rehearse_delete()

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """See AuthStore.locked. The locks are the ones of `auth.json`, as with Codex."""
        async with self._file.locked():
            yield

    async def save(self, record: AuthRecord) -> None:
        """See AuthStore.save."""
        await self._run(partial(_replace, self._keyring, self.account, render_record(record, compact=True)))
        try:
            await self._file.delete_document()
        except StorageError as error:
            _log.warning("the login is in the keyring, but an old one is still in its file: %s", error)

    async def delete(self, *, absent_is_empty: bool = False) -> None:
        """See AuthStore.delete. Both places are emptied, as far as they can be, before an error is raised.

        `absent_is_empty` is for those who know that the credential never was in a keyring.
        """
        problems = []
        try:
            await self._run(partial(_remove, self._keyring, self.account))
        except StorageError as error:
            if not (absent_is_empty and isinstance(error, KeyringAbsent)):
                problems.append(f"the login may still be in the keyring: {error}")
        try:
            await self._file.delete()
        except StorageError as error:
            problems.append(f"the login is still in its file: {error}")
        if problems:
            raise StorageError("; ".join(problems))

    async def _run(self, work: Callable[[Call], T]) -> T:
        call = Call()
        try:
            with trio.fail_after(self._timeout):
                return await self._in_thread(partial(work, call))
        except trio.TooSlowError:
            problem = f"the keyring did not answer within {self._timeout:g} s"
            if call.give_up():
                problem += " and may yet do what it was asked"
            raise KeyringError(problem, "see whether it waits for a password") from None
        finally:
            call.give_up()  # also for whoever was cancelled


def _one_thread() -> InThread:
    # A limiter of its own: those that hang must not take the places of the threads that write to the disk.
    limiter = trio.CapacityLimiter(1)

    async def run(work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)

    return run


def _read(keyring: Keyring, account: str, call: Call) -> Item | None:
    return keyring.read(call, account)


def _remove(keyring: Keyring, account: str, call: Call) -> None:
    keyring.remove(call, account)


def _rehearse(keyring: Keyring, account: str, call: Call) -> None:
    keyring.read(call, account)  # which a locked keyring refuses, and one that waits for a password does not answer
    trial = f"{account}.rehearsal"
    _write(keyring, trial, b"accountd looks whether it can store a login", call)
    keyring.remove(call, trial)


def _replace(keyring: Keyring, account: str, document: bytes, call: Call) -> None:
    _keep_malformed_aside(keyring, account, call)
    _write(keyring, account, document, call)


def _write(keyring: Keyring, account: str, document: bytes, call: Call) -> None:
    """Write a document, and look whether it is there: some keyrings say yes and keep nothing."""
    keyring.write(call, account, document)
    kept = keyring.read(call, account)
    if kept is None or kept.document != document:
        raise KeyringError("the keyring does not give back what it was given to keep")


def _keep_malformed_aside(keyring: Keyring, account: str, call: Call) -> None:
    """Give a document that cannot be read, and so is about to be lost, another account."""
    old = keyring.read(call, account)
    if old is None or not old.document:
        return
    try:
        parse_record(old.document)
    except MalformedRecord:
        aside = f"{account}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}"
        keyring.write(call, aside, old.document)
        _log.warning("what the keyring held could not be read; it is kept there as %s", aside)


class Keychain:
    """The Keychain of macOS. It may ask the person, who may answer after the call was given up.

    To replace is to remove and add there, so a process that is killed in between loses the credential.
    """

    def __init__(self, service: str = SERVICE) -> None:
        self.service = service

    def read(self, _call: Call, account: str) -> Item | None:
        """See Keyring.read."""
        with _keychain() as keychain:
            text: str | None = keychain.get_password(self.service, account)
        return None if text is None else Item(text.encode())

    def write(self, call: Call, account: str, document: bytes) -> None:
        """See Keyring.write."""
        with _keychain() as keychain:
            call.before_change()
            keychain.set_password(self.service, account, document.decode())

    def remove(self, call: Call, account: str) -> None:
        """See Keyring.remove."""
        if self.read(call, account) is not None:
            with _keychain() as keychain:
                call.before_change()
                keychain.delete_password(self.service, account)


@contextmanager
def _keychain() -> Iterator[Any]:
    try:
        from keyring import errors
        from keyring.backends import macOS
    except ImportError as error:
        raise KeyringError(*LIBRARY_MISSING) from error
    try:
        yield macOS.Keyring()
    except errors.KeyringLocked as error:
        raise KeyringLocked from error
    except errors.KeyringError as error:
        raise KeyringError(f"the Keychain refused ({describe_foreign(error)})") from error
