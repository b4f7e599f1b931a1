"""The files of the credential locks: opened, made, looked at, and taken out of use.

Whoever changes the credential makes what is missing, and a new file for one that only others have any use for
(`open_lock`, `replace_lock`). Whoever only wants to know changes nothing (`open_as_it_is`).
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from accountd.files.ownership import UnsafePath
from accountd.files.walk import find_entry, open_ours
from accountd.storage.lock_holder import find_holders
from accountd.storage.trouble import cannot

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.storage.lock_holder import Holder

_log = logging.getLogger(__name__)


def open_lock(path: Path) -> int | None:
    """Open a lock file, made if need be; None where none can be made, and one does without. Raises StorageError."""
    while True:
        try:
            return open_ours(path, os.O_RDWR | os.O_CREAT, private=True)
        except OSError as error:
            if isinstance(error, UnsafePath | PermissionError) and _drop_unusable(path):
                continue
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM) or _can_write(path.parent):
                raise cannot("locked", path, error) from error
        return _open_to_read(path)


def _open_to_read(path: Path) -> int | None:
    """Open a lock file in a folder that cannot be written: one that is there can be locked all the same."""
    try:
        return open_ours(path, os.O_RDONLY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES):
            return None
        raise cannot("locked", path, error) from error


def open_as_it_is(path: Path) -> int | None:
    """Open a lock file, and change nothing; None where `open_lock` would make one, or the locks are done without.

    Raises StorageError.
    """
    try:
        try:
            return open_ours(path, os.O_RDONLY)
        except FileNotFoundError:
            with find_entry(path):  # whose folder is there: a link may lead to where none is
                return None
    except OSError as error:
        if isinstance(error, UnsafePath | PermissionError) and _drop_unusable(path, really=False):
            return None
        if error.errno == errno.EACCES and not _can_write(path.parent):
            return None
        raise cannot("locked", path, error) from error


def _can_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _drop_unusable(path: Path, *, really: bool = True) -> bool:
    """Remove a lock file that we may not open, in a folder of ours, and that nobody of ours has; say whether.

    Unless that is meant `really`, say whether it would be removed, or is ours and would be given its mode.
    """
    try:
        with find_entry(path) as entry:
            if entry.in_shared or not hasattr(os, "O_PATH"):
                return False
            descriptor = os.open(entry.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=entry.folder)
            try:
                found, holders = os.fstat(descriptor), find_holders(descriptor)
            finally:
                os.close(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return False
            if not really and found.st_uid == os.geteuid():
                return True
            if holders is None or not all(each.is_foreign for each in holders):
                return False
            if not really:
                return _can_write(path.parent)
            os.unlink(entry.name, dir_fd=entry.folder)
    except OSError:  # whoever wanted it has the reason
        return False
    _log.warning("%s could not be opened, and nobody of yours has it locked; there is a new one in its place", path)
    return True


def look_at_lock(path: Path) -> tuple[os.stat_result, tuple[Holder, ...] | None]:
    """Say which file it is that somebody has locked, and who."""
    descriptor = open_lock(path)
    if descriptor is None:  # it has gone by now
        raise cannot("locked", path, OSError(errno.ENOENT, os.strerror(errno.ENOENT)))
    try:
        return os.fstat(descriptor), find_holders(descriptor)
    finally:
        os.close(descriptor)


def is_nobody_of_ours(holders: tuple[Holder, ...] | None, *, for_long: bool) -> bool:
    """Say whether no program of ours has the lock. One that cannot be seen may be, until it takes too long."""
    if holders:
        return all(holder.is_foreign for holder in holders)
    return holders is not None and for_long


def replace_lock(path: Path, identity: os.stat_result, holders: tuple[Holder, ...] | None) -> None:
    """Take a lock file out of use, so that the next try makes a new one. Raises StorageError."""
    try:
        with find_entry(path) as entry, suppress(FileNotFoundError):
            found = os.stat(entry.name, dir_fd=entry.folder, follow_symlinks=False)
            if not os.path.samestat(found, identity):  # another daemon was faster
                return
            os.unlink(entry.name, dir_fd=entry.folder)
    except OSError as error:
        raise cannot("locked", path, error) from error
    who = name_holders(holders) if holders else "somebody who cannot be seen from here"
    _log.warning("%s was locked by %s, no program of yours; there is a new one in its place", path, who)


def name_holders(holders: tuple[Holder, ...]) -> str:
    """Name programs to a person."""
    return ", ".join(map(str, holders))
