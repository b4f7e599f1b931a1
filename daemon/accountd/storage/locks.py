"""The locks that every program sharing a CODEX_HOME takes before it changes the credential.

They are `flock` locks: they belong to an open file, end with the process that holds them, however it ends, and so
are never stale. But whoever can open a file can lock it, and stock Codex makes these readable for all. So they are
made private; and a file that is locked by who can be no program of ours is taken out of use: a new one takes its
place, which nobody else can open. That is done at once to a process of another user, and to one that cannot be
seen, after as long as anybody is waited for. Programs of this user and of root are waited for, and then named.

One lock is of the home, the other of the document, and so beside what `auth.json` really is: Codex has it there,
and two homes may have links to one document. A link can be given another target at any time, while tokens of the
old one are being refreshed. So whoever has the locks is told which document they are of, and uses that one.

A home that cannot be written, and a file system without locks, keep nobody out. There it goes on without, and says
so once: what is stored can be used all the same.
"""

from __future__ import annotations

import logging
import math
import os
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from accountd import paths
from accountd.errors import CredentialsLocked, describe_os_error
from accountd.files.flock import NoLocks, try_lock
from accountd.files.walk import check_folder, find_entry
from accountd.storage.lock_file import (
    is_nobody_of_ours,
    look_at_lock,
    name_holders,
    open_as_it_is,
    open_lock,
    replace_lock,
)
from accountd.storage.lock_holder import find_holders
from accountd.storage.trouble import cannot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.storage.lock_holder import Holder

BRIEFLY: Final = 2.0
"""Seconds of waiting for whom somebody else has waited in vain within the last minute."""

_MEMORY: Final = 60.0
"""Seconds for which it is remembered who was waited for in vain."""

_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.1
_LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at who holds a lock, each of which takes a millisecond or so."""

_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where a credential really is, links followed, and the locks of its document."""

    home: Path
    document: Path
    locks: tuple[Path, ...]


def find_place(home: Path, name: str = paths.CREDENTIAL) -> Place:
    """Follow the links of a home, which is made if it is missing, and of the document of this name in it.

    The locks of `auth.json` are those of Codex; any other document has one of its own beside it.

    Raises OSError, but not for a document that is a link to nowhere.
    """
    real = Path(check_folder(home, make=True))
    document = real / name
    if document.is_symlink():
        with suppress(OSError), find_entry(document) as entry:  # else who reads or writes it is told
            document = Path(entry.place)
    own = document.with_suffix(".json.lock")
    return Place(real, document, (own, real / paths.CREDENTIAL_LOCKS[1]) if name == paths.CREDENTIAL else (own,))


class CredentialLocks:
    """The locks of a document in a home. They remember who would not let go: not every change waits as long."""

    def __init__(self, home: Path, name: str = paths.CREDENTIAL) -> None:
        self._home = home
        self._name = name
        self._said: set[str] = set()
        self._stubborn: tuple[Holder, ...] | None = None
        self._since, self._until = 0.0, -math.inf  # when they were first waited for, and last given up

    @asynccontextmanager
    async def hold(self, timeout: float) -> AsyncIterator[Place]:
        """Hold all for the block, and give what they are of. The home is made, for its owner alone.

        Raises StorageError; CredentialsLocked after `timeout` seconds of waiting.

        flock has no deadline of its own, and a thread that waits in it could not be called back; so the locks are
        tried, and between two tries the event loop is free. They are taken all or none, so that a program
        which takes them in the other order is never waited for in a circle.
        """
        with ExitStack() as held:
            yield await self._take(held, timeout)

    def look(self) -> None:
        """Say, at a start, that the file system has no locks, and not only when the first one is needed."""
        with suppress(FileNotFoundError):
            try:
                descriptor = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    try_lock(descriptor)
                finally:
                    os.close(descriptor)
            except NoLocks as error:
                self._say_no_locks(self._home, error)
            except OSError:  # whoever needs them is told
                return

    def rehearse(self) -> Place:
        """Give what the locks are of, and raise StorageError if they could not be had.

        No file is made, removed or given another mode. Nobody is waited for: who has them now, for a refresh, lets
        go of them before a login needs them. Raises CredentialsLocked only for somebody who has been waited for in
        vain within the last minute.
        """
        try:
            place = find_place(self._home, self._name)
        except OSError as error:
            raise cannot("used", self._home, error) from error
        for lock in place.locks:
            if (descriptor := open_as_it_is(lock)) is not None:
                try:
                    self._require_willing(lock, descriptor)
                finally:
                    os.close(descriptor)
        return place

    def _require_willing(self, path: Path, descriptor: int) -> None:
        try:
            if try_lock(descriptor):
                return
        except NoLocks as error:
            self._say_no_locks(path.parent, error)
            return
        except OSError as error:
            raise cannot("locked", path, error) from error
        now = trio.current_time()
        if now < self._until + _MEMORY and (holders := find_holders(descriptor)) == self._stubborn:
            raise self._give_up(path, holders, now, now)

    async def _take(self, held: ExitStack, timeout: float) -> Place:
        begun = look_at = trio.current_time()
        patience, pause = timeout, _FIRST_PAUSE
        holders: tuple[Holder, ...] | None = None
        while isinstance(taken := self._try_all(held), Path):
            now = trio.current_time()
            waited = now - begun
            if now >= look_at or waited >= patience:
                look_at = now + _LOOK_AGAIN
                identity, holders = look_at_lock(taken)
                if is_nobody_of_ours(holders, for_long=waited >= timeout):
                    replace_lock(taken, identity, holders)
                    await trio.lowlevel.checkpoint()
                    continue
                if holders == self._stubborn and begun < self._until + _MEMORY:
                    patience = min(timeout, BRIEFLY)
            if waited >= patience:
                raise self._give_up(taken, holders, begun, now)
            await trio.sleep(min(pause, patience - waited))
            pause = min(pause * 2, _LONGEST_PAUSE)
        return taken

    def _try_all(self, held: ExitStack) -> Place | Path:
        """Take all locks, to be let go with the stack; or none, and give the one that is not free."""
        while True:
            with ExitStack() as taking:
                leads_to = os.path.realpath(self._home / self._name)
                try:
                    place = find_place(self._home, self._name)
                except OSError as error:
                    raise cannot("used", self._home, error) from error
                for path in place.locks:
                    if not self._lock_now(path, taking):
                        return path
                if leads_to == os.path.realpath(self._home / self._name):  # else they are of something else by now
                    held.push(taking.pop_all())
                    return place

    def _lock_now(self, path: Path, taking: ExitStack) -> bool:
        """Try to lock a file, which is closed with the stack; False if somebody has it.

        What can be locked by nobody counts as locked.
        """
        while True:
            if (descriptor := open_lock(path)) is None:
                why = f"{path.parent} cannot be written"
                self._say(f"{path} cannot be made ({why}), so that no other program is kept from refreshing")
                return True
            taking.callback(os.close, descriptor)
            try:
                if not try_lock(descriptor):
                    return False
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), path.stat()):  # else another daemon has replaced it
                        return True
            except NoLocks as error:
                self._say_no_locks(path.parent, error)
                return True
            except OSError as error:
                raise cannot("locked", path, error) from error

    def _say_no_locks(self, folder: Path, error: NoLocks) -> None:
        words = f"the file system of {folder} has no locks ({describe_os_error(error)})"
        self._say(f"{words}: use this login in one program at a time")

    def _say(self, words: str) -> None:
        if words not in self._said:
            self._said.add(words)
            _log.warning("%s", words)

    def _give_up(
        self, path: Path, holders: tuple[Holder, ...] | None, begun: float, now: float
    ) -> CredentialsLocked:
        if holders != self._stubborn or begun >= self._until + _MEMORY:
            self._stubborn, self._since = holders, begun
        self._until = now
        who = f": {name_holders(holders)}" if holders else ""
        waited = f"{now - self._since:.0f} s"
        return CredentialsLocked(f"another program has held the credential lock {path} for {waited}{who}")
