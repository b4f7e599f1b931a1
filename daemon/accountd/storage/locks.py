"""The locks that every program sharing a CODEX_HOME takes before it changes the credential.

They are `flock` locks: they belong to an open file, end with the process that holds them, however it ends, and so
are never stale. But whoever can open a file can lock it, and stock Codex makes these readable for all. So they are
made private; and a file that is locked by who can be no program of ours is taken out of use: a new one takes its
place, which nobody else can open. That is done at once to a process of another user, and to one that cannot be
seen, after as long as anybody is waited for. Programs of this user and of root are waited for, and then named.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import StorageError, describe_os_error
from accountd.files.walk import find_entry, open_ours
from accountd.storage.base import CredentialsLocked
from accountd.storage.lock_holder import find_holders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.storage.lock_holder import Holder

NAMES: Final = ("auth.json.lock", "auth.lock")

BRIEFLY: Final = 2.0
"""Seconds of waiting for whom somebody else has waited in vain within the last minute."""

_MEMORY: Final = 60.0
"""Seconds for which it is remembered who was waited for in vain."""

_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.1
_LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at who holds a lock, each of which takes a millisecond or so."""

_log = logging.getLogger(__name__)


class CredentialLocks:
    """Both locks of a CODEX_HOME. It remembers who would not let go, so that not every change waits as long."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stubborn: tuple[Holder, ...] | None = None
        self._since, self._until = 0.0, -math.inf  # when they were first waited for, and last given up

    @asynccontextmanager
    async def hold(self, timeout: float) -> AsyncIterator[None]:
        """Hold both for the block. Raises StorageError; CredentialsLocked after `timeout` seconds of waiting.

        flock has no deadline of its own, and a thread that waits in it could not be called back; so the locks are
        tried, and between two tries the event loop is free. They are taken both or neither, so that a program
        which takes them in the other order is never waited for in a circle.
        """
        with await self._take(timeout):
            yield

    async def _take(self, timeout: float) -> ExitStack:
        begun = look_at = trio.current_time()
        patience, pause = timeout, _FIRST_PAUSE
        holders: tuple[Holder, ...] | None = None
        while isinstance(taken := _try_both(self._home), Path):
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
                raise self._give_up(holders, begun, now)
            await trio.sleep(min(pause, patience - waited))
            pause = min(pause * 2, _LONGEST_PAUSE)
        return taken

    def _give_up(self, holders: tuple[Holder, ...] | None, begun: float, now: float) -> CredentialsLocked:
        if holders != self._stubborn or begun >= self._until + _MEMORY:
            self._stubborn, self._since = holders, begun
        self._until = now
        who = f": {_name(holders)}" if holders else ""
        return CredentialsLocked(f"another program has held the credential lock for {now - self._since:.0f} s{who}")


def _try_both(home: Path) -> ExitStack | Path:
    """Take both locks, to be let go by leaving what is returned; or neither, and give the one that is not free."""
    with ExitStack() as taking:
        for name in NAMES:
            if not _lock_now(path := home / name, taking):
                return path
        return taking.pop_all()


def _lock_now(path: Path, taking: ExitStack) -> bool:
    """Try to lock a file, which is closed with the stack, and say whether that went well."""
    while True:
        descriptor = _open(path)
        taking.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):  # else another daemon has just replaced it
                    return True
        except BlockingIOError:
            return False
        except OSError as error:
            raise StorageError(f"cannot lock the credentials: {describe_os_error(error)}") from error


def _open(path: Path) -> int:
    try:
        return open_ours(path, os.O_RDWR | os.O_CREAT, private=True)
    except OSError as error:
        raise StorageError(describe_os_error(error)) from error


def _look(path: Path) -> tuple[os.stat_result, tuple[Holder, ...] | None]:
    """Say which file it is that somebody has locked, and who."""
    descriptor = _open(path)
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
        raise StorageError(describe_os_error(error)) from error
    who = _name(holders) if holders else "somebody who cannot be seen from here"
    _log.warning("%s was locked by %s, no program of yours; there is a new one in its place", path, who)


def _name(holders: tuple[Holder, ...]) -> str:
    return ", ".join(map(str, holders))
