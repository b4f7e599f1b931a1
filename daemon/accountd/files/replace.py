"""Replaces a file whole, for its owner alone to read; or removes it. Both outlast a power cut."""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from accountd.errors import describe_os_error
from accountd.files.walk import find_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accountd.files.walk import Entry

_log = logging.getLogger(__name__)


def replace_file(target: Path, document: bytes) -> None:
    """Give a file new content so that, whatever happens when, it has the old or the new one, whole.

    A link stays one, and what it leads to is replaced. Returns when it is on the disk, which may be waited for.
    Raises OSError, and then the old content is there and nothing is left behind; UnsafePath where others decide
    what is there.
    """
    with find_entry(target) as entry, _synced_at_the_end(entry):
        temporary = f".{entry.name}.{secrets.token_hex(8)}.tmp"  # as find_unnamed looks for it
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o600, dir_fd=entry.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, entry.name, src_dir_fd=entry.folder, dst_dir_fd=entry.folder)
        except BaseException:  # whatever it was, nothing half-written stays; and it goes on
            with suppress(OSError):
                os.unlink(temporary, dir_fd=entry.folder)
            raise


def find_unnamed(target: Path) -> list[Path]:
    """List the contents that `replace_file` was kept from giving their name, by a crash; or has not given it yet.

    They are this user's files. Raises OSError.
    """
    with find_entry(target) as entry:
        form = re.compile(rf"\.{re.escape(entry.name)}\.[0-9a-f]{{16}}\.tmp")
        return _list_own(entry, form)


def find_aside(target: Path, mark: str) -> list[Path]:
    """List what `keep_aside` has kept of a file, with marks that begin like this. As `find_unnamed`."""
    with find_entry(target) as entry:
        return _list_own(entry, re.compile(rf"{re.escape(f'{entry.name}.{mark}')}.*", re.DOTALL))


def remove_file(target: Path) -> None:
    """Remove a file; of a link, what it leads to. Returns when that is on the disk. Raises OSError: it is there."""
    with find_entry(target) as entry, _synced_at_the_end(entry):
        os.unlink(entry.name, dir_fd=entry.folder)


def keep_aside(target: Path, mark: str) -> str:
    """Give a file a second name beside it, which ends in a mark, and mode 0600. Gives the name. Raises OSError."""
    with find_entry(target) as entry:
        aside = f"{entry.name}.{mark}"
        with suppress(FileExistsError):  # kept by a try with the same mark, which failed after it
            os.link(entry.name, aside, src_dir_fd=entry.folder, dst_dir_fd=entry.folder, follow_symlinks=False)
        os.chmod(aside, 0o600, dir_fd=entry.folder)
        return aside


def _list_own(entry: Entry, form: re.Pattern[str]) -> list[Path]:
    folder, found = Path(entry.place).parent, []
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=entry.folder)
    try:
        for name in sorted(filter(form.fullmatch, os.listdir(descriptor))):
            each = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISREG(each.st_mode) and each.st_uid == os.geteuid():
                found.append(folder / name)
    finally:
        os.close(descriptor)
    return found


@contextmanager
def _synced_at_the_end(entry: Entry) -> Iterator[None]:
    """Make a rename or removal of the block outlast a power cut. Raises OSError before the block alone.

    After it, everybody sees the change. To call it a failure because it may not last would be untrue at once, and
    not only after a power cut; so it is warned of.
    """
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=entry.folder)
    try:
        yield
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some file systems have no such thing for folders
                place, reason = os.path.dirname(entry.place), describe_os_error(error)
                _log.warning("a change in %s may not outlast a power cut: %s", place, reason)
    finally:
        os.close(descriptor)
