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

import errno
import logging
import math
import os
import stat
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from accountd import paths
from accountd.errors import CredentialsLocked, describe_os_error
from accountd.files.flock import NoLocks, try_lock
from accountd.files.ownership import UnsafePath
from accountd.files.walk import check_folder, find_entry, open_ours
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
    """Where a credential really is, links followed."""

    home: Path
    document: Path

    @property
    def locks(self) -> tuple[Path, Path]:
        """The lock files of both, as Codex names them."""
        return self.document.with_suffix(".json.lock"), self.home / paths.CREDENTIAL_LOCKS[1]


def find_place(home: Path) -> Place:
    """Follow the links of a home, which is made if it is missing, and of its document.

    Raises OSError, but not for a document that is a link to nowhere.
    """
    real = Path(check_folder(home, make=True))
    document = real / paths.CREDENTIAL
    if document.is_symlink():
        with suppress(OSError), find_entry(document) as entry:  # else who reads or writes it is told
            document = Path(entry.place)
    return Place(real, document)


class CredentialLocks:
    """Both locks of a CODEX_HOME. It remembers who would not let go, so that not every change waits as long."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._said: set[str] = set()
        self._stubborn: tuple[Holder, ...] | None = None
        self._since, self._until = 0.0, -math.inf  # when they were first waited for, and last given up

    @asynccontextmanager
    async def hold(self, timeout: float) -> AsyncIterator[Place]:
        """Hold both for the block, and give what they are of. The home is made, for its owner alone.

        Raises StorageError; CredentialsLocked after `timeout` seconds of waiting.

        flock has no deadline of its own, and a thread that waits in it could not be called back; so the locks are
        tried, and between two tries the event loop is free. They are taken both or neither, so that a program
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

        Nobody is waited for: who has them now, for a refresh, lets go of them before a login needs them. Raises
        CredentialsLocked only for somebody who has been waited for in vain within the last minute.
        """
        with ExitStack() as held:
            taken = self._try_both(held)
            if isinstance(taken, Place):
                return taken
        now = trio.current_time()
        if now < self._until + _MEMORY and (holders := _look(taken)[1]) == self._stubborn:
            raise self._give_up(taken, holders, now, now)
        return find_place(self._home)

    async def _take(self, held: ExitStack, timeout: float) -> Place:
        begun = look_at = trio.current_time()
        patience, pause = timeout, _FIRST_PAUSE
        holders: tuple[Holder, ...] | None = None
        while isinstance(taken := self._try_both(held), Path):
            now = trio.current_time()
            waited = now - begun
            if now >= look_at or waited >= patience:
                look_at = now + _LOOK_AGAIN
                identity, holders = _look(taken)
                if _is_nobody_of_ours(holders, for_long=waited >= timeout):
                    _replace(taken, identity, holders)
                    await trio.lowlevel.checkpoint()
                    continue
                if holders == self._stubborn and begun < self._until + _MEMORY:
                    patience = min(timeout, BRIEFLY)
            if waited >= patience:
                raise self._give_up(taken, holders, begun, now)
            await trio.sleep(min(pause, patience - waited))
            pause = min(pause * 2, _LONGEST_PAUSE)
        return taken

    def _try_both(self, held: ExitStack) -> Place | Path:
        """Take both locks, to be let go with the stack; or neither, and give the one that is not free."""
        while True:
            with ExitStack() as taking:
                leads_to = os.path.realpath(self._home / paths.CREDENTIAL)
                try:
                    place = find_place(self._home)
                except OSError as error:
                    raise cannot("used", self._home, error) from error
                for path in place.locks:
                    if not self._lock_now(path, taking):
                        return path
                if leads_to == os.path.realpath(
                    self._home / paths.CREDENTIAL
                ):  # else they are of something else by now
                    held.push(taking.pop_all())
                    return place

    def _lock_now(self, path: Path, taking: ExitStack) -> bool:
        """Try to lock a file, which is closed with the stack; False if somebody has it.

        What can be locked by nobody counts as locked.
        """
        while True:
            try:
                descriptor = _open(path)
            except _Unlockable as unlockable:
                self._say(f"{path} cannot be made ({unlockable}), so that no other program is kept from refreshing")
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
        who = f": {_name(holders)}" if holders else ""
        waited = f"{now - self._since:.0f} s"
        return CredentialsLocked(f"another program has held the credential lock {path} for {waited}{who}")


class _Unlockable(Exception):
    """There is no lock file, and none can be made."""


def _open(path: Path) -> int:
    """Open a lock file, made if need be. Raises StorageError, or _Unlockable."""
    while True:
        try:
            return open_ours(path, os.O_RDWR | os.O_CREAT, private=True)
        except OSError as error:
            if isinstance(error, UnsafePath | PermissionError) and _drop_unusable(path):
                continue
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM) or _can_write(path.parent):
                raise cannot("locked", path, error) from error
        return _open_to_read(path)


def _open_to_read(path: Path) -> int:
    """Open a lock file in a folder that cannot be written: one that is there can be locked all the same."""
    try:
        return open_ours(path, os.O_RDONLY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES):
            raise _Unlockable(f"{path.parent} cannot be written") from error
        raise cannot("locked", path, error) from error


def _can_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _drop_unusable(path: Path) -> bool:
    """Remove a lock file that we may not open, in a folder of ours, and that nobody of ours has; say whether."""
    try:
        with find_entry(path) as entry:
            if entry.in_shared or not hasattr(os, "O_PATH"):
                return False
            descriptor = os.open(entry.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=entry.folder)
            try:
                found, holders = os.fstat(descriptor), find_holders(descriptor)
            finally:
                os.close(descriptor)
            if not stat.S_ISREG(found.st_mode) or holders is None or not all(each.is_foreign for each in holders):
                return False
            os.unlink(entry.name, dir_fd=entry.folder)
    except OSError:  # whoever wanted it has the reason
        return False
    _log.warning("%s could not be opened, and nobody of yours has it locked; there is a new one in its place", path)
    return True


def _look(path: Path) -> tuple[os.stat_result, tuple[Holder, ...] | None]:
    """Say which file it is that somebody has locked, and who."""
    try:
        descriptor = _open(path)
    except _Unlockable as error:  # it has gone by now
        raise cannot("locked", path, OSError(errno.ENOENT, os.strerror(errno.ENOENT))) from error
    try:
        return os.fstat(descriptor), find_holders(descriptor)
    finally:
        os.close(descriptor)


def _is_nobody_of_ours(holders: tuple[Holder, ...] | None, *, for_long: bool) -> bool:
    """Say whether no program of ours has the lock. One that cannot be seen may be, until it takes too long."""
    if holders:
        return all(holder.is_foreign for holder in holders)
    return holders is not None and for_long


def _replace(path: Path, identity: os.stat_result, holders: tuple[Holder, ...] | None) -> None:
    """Take a lock file out of use, so that the next try makes a new one. Raises StorageError."""
    try:
        with find_entry(path) as entry, suppress(FileNotFoundError):
            found = os.stat(entry.name, dir_fd=entry.folder, follow_symlinks=False)
            if not os.path.samestat(found, identity):  # another daemon was faster
                return
            os.unlink(entry.name, dir_fd=entry.folder)
    except OSError as error:
        raise cannot("locked", path, error) from error
    who = _name(holders) if holders else "somebody who cannot be seen from here"
    _log.warning("%s was locked by %s, no program of yours; there is a new one in its place", path, who)


def _name(holders: tuple[Holder, ...]) -> str:
    return ", ".join(map(str, holders))
