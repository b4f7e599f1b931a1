"""Replaces a file whole, or removes it. Both outlast a power cut.

A file is replaced by giving a new one its name. One that is `mounted` by itself is written in place instead, and
may be torn by a crash; so for as long the new content is beside it, whole, under a name that says so (`find_redo`).
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from accountd.errors import describe_os_error
from accountd.files.mounted import is_mounted, write_in_place
from accountd.files.ownership import require_ours
from accountd.files.walk import check_regular, find_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accountd.files.walk import Entry

_log = logging.getLogger(__name__)


_UNNAMED: Final = "tmp"
"""How the name ends of a new content that is not in its place yet."""

_REDO: Final = "redo"
"""And of one that is being written in place."""

_UNWRITABLE: Final = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))
"""Errors of a folder in which nothing can be made."""

_UNLINKABLE: Final = frozenset((errno.EPERM, errno.EACCES, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS))
"""Errors of a second name: the file system has none, it is another's file, or it is mounted by itself."""


def replace_file(target: str | os.PathLike[str], document: bytes, mode: int = 0o600) -> None:
    """Give a file new content so that, whatever happens when, it has the old or the new one, whole.

    A link stays one, and what it leads to is replaced. Its owner alone may read it, unless `mode` says otherwise.
    Returns when it is on the disk, which may be waited for.
    Raises OSError, and then the old content is there and nothing is left behind; UnsafePath where others decide
    what is there. None of this holds of a file that is mounted by itself, but that `find_redo` finds the new one.
    """
    with find_entry(target) as entry, _synced_at_the_end(entry) as sync:
        try:
            temporary = _write_beside(entry, document, mode)
        except OSError as error:
            if not (error.errno in _UNWRITABLE and is_mounted(entry)):
                raise
            write_in_place(entry, document)
            return
        try:
            os.replace(temporary, entry.name, src_dir_fd=entry.folder, dst_dir_fd=entry.folder)
        except BaseException as error:  # whatever it was, nothing half-written stays; and it goes on
            if not (isinstance(error, OSError) and error.errno == errno.EBUSY and is_mounted(entry)):
                _forget(entry, temporary)
                raise
            _write_with_redo(entry, temporary, document, sync)


def _write_with_redo(entry: Entry, temporary: str, document: bytes, sync: Callable[[], None]) -> None:
    redo = temporary.removesuffix(_UNNAMED) + _REDO
    os.rename(temporary, redo, src_dir_fd=entry.folder, dst_dir_fd=entry.folder)
    sync()
    write_in_place(entry, document)
    _forget(entry, redo)


def rehearse_replacing(target: Path, size: int) -> None:
    """Do what `replace_file` does with so many bytes, but for the replacing. Raises what that would raise.

    What is there is looked at, and stays: a folder, say, or a file that is immutable.
    """
    with find_entry(target) as entry:
        mounted = is_mounted(entry)
        with suppress(FileNotFoundError):
            _look_at(entry, mounted=mounted)
        try:
            temporary = _write_beside(entry, b" " * size)
        except OSError as error:
            if not (error.errno in _UNWRITABLE and mounted):
                raise
        else:
            os.unlink(temporary, dir_fd=entry.folder)


def rehearse_removing(target: Path) -> None:
    """Look at what `remove_file` would remove. Raises what that would raise, as far as can be seen."""
    with find_entry(target) as entry:
        mounted = is_mounted(entry)
        _look_at(entry, mounted=mounted)
        if not mounted and not os.access(".", os.W_OK | os.X_OK, dir_fd=entry.folder):
            read_only = os.fstatvfs(entry.folder).f_flag & os.ST_RDONLY
            number = errno.EROFS if read_only else errno.EACCES
            raise OSError(number, os.strerror(number))


def _look_at(entry: Entry, *, mounted: bool) -> None:
    check_regular(os.stat(entry.name, dir_fd=entry.folder, follow_symlinks=False))
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        os.close(os.open(entry.name, flags, dir_fd=entry.folder))
    except PermissionError as error:
        if mounted or error.errno == errno.EPERM:  # it is immutable; its mode keeps nobody from replacing it
            raise


def _write_beside(entry: Entry, document: bytes, mode: int = 0o600) -> str:
    """Write a new file to the disk, and return its name, as `find_unnamed` looks for it."""
    temporary = f".{entry.name}.{secrets.token_hex(8)}.{_UNNAMED}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600, dir_fd=entry.folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:  # as above
        _forget(entry, temporary)
        raise
    return temporary


def _forget(entry: Entry, name: str) -> None:
    with suppress(OSError):
        os.unlink(name, dir_fd=entry.folder)


def find_unnamed(target: Path) -> list[Path]:
    """List the contents that `replace_file` was kept from putting in their place, by a crash; or is about to put.

    They are this user's files. Raises OSError.
    """
    return _find_new(target, f"(?:{_UNNAMED}|{_REDO})")


def find_redo(target: Path) -> list[Path]:
    """List those of `find_unnamed` whose writing in place had begun: the file may be torn by that alone."""
    return _find_new(target, _REDO)


def _find_new(target: Path, ending: str) -> list[Path]:
    with find_entry(target) as entry:
        return _list_own(entry, re.compile(rf"\.{re.escape(entry.name)}\.[0-9a-f]{{16}}\.{ending}"))


def find_aside(target: Path, mark: str) -> list[Path]:
    """List what `keep_aside` has kept of a file, with marks that begin like this. As `find_unnamed`."""
    with find_entry(target) as entry:
        form = re.compile(rf"{re.escape(f'{entry.name}.{mark}')}.*", re.DOTALL)
        return _list_own(entry, form, others_too=not entry.in_shared)


def remove_file(target: Path, *, nothing: bytes | None = None) -> None:
    """Remove a file; of a link, what it leads to. Returns when that is on the disk. Raises OSError: it is there.

    One that is mounted by itself cannot be removed: it gets the content `nothing`, if there is such a thing.
    """
    with find_entry(target) as entry, _synced_at_the_end(entry):
        try:
            os.unlink(entry.name, dir_fd=entry.folder)
        except OSError as error:
            if nothing is None or not is_mounted(entry) or error.errno not in {errno.EBUSY, *_UNWRITABLE}:
                raise
            write_in_place(entry, nothing)


def try_to_remove(target: Path) -> str | None:
    """Remove a file as `remove_file` does. Return why it is still there, None if it is not."""
    try:
        remove_file(target)
    except OSError as error:
        return describe_os_error(error)
    return None


def keep_aside(target: Path, mark: str) -> str:
    """Give a file a second name beside it, which ends in a mark, and mode 0600; return the name. Raises OSError.

    Where it cannot have two, as on some file systems, or because it is another user's, it has that name alone.
    """
    with find_entry(target) as entry:
        if entry.in_shared:  # where another user may be at both names
            found = os.stat(entry.name, dir_fd=entry.folder, follow_symlinks=False)
            require_ours(found, entry.place, in_shared=True)
        aside = f"{entry.name}.{mark}"
        with suppress(FileExistsError):  # kept by a try with the same mark, which failed after it
            _keep(entry, aside)
        with suppress(PermissionError):  # it is another user's
            os.chmod(aside, 0o600, dir_fd=entry.folder)
        return aside


def _keep(entry: Entry, aside: str) -> None:
    try:
        os.link(entry.name, aside, src_dir_fd=entry.folder, dst_dir_fd=entry.folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _UNLINKABLE:
            raise
        try:
            os.rename(entry.name, aside, src_dir_fd=entry.folder, dst_dir_fd=entry.folder)
        except OSError as busy:
            if busy.errno != errno.EBUSY:
                raise
            _copy(entry, aside)


def _copy(entry: Entry, aside: str) -> None:
    source = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=entry.folder)
    with os.fdopen(source, "rb") as file:
        check_regular(os.fstat(source))
        temporary = _write_beside(entry, file.read())
    os.rename(temporary, aside, src_dir_fd=entry.folder, dst_dir_fd=entry.folder)


def _list_own(entry: Entry, form: re.Pattern[str], *, others_too: bool = False) -> list[Path]:
    folder, found = Path(entry.place).parent, []
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=entry.folder)
    try:
        for name in sorted(filter(form.fullmatch, os.listdir(descriptor))):
            each = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISREG(each.st_mode) and (others_too or each.st_uid == os.geteuid()):
                found.append(folder / name)
    finally:
        os.close(descriptor)
    return found


@contextmanager
def _synced_at_the_end(entry: Entry) -> Iterator[Callable[[], None]]:
    """Make a rename or removal of the block outlast a power cut. Raises OSError before the block alone.

    After it, everybody sees the change. To call it a failure because it may not last would be untrue at once, and
    not only after a power cut; so it is warned of. What is given does so in between.
    """
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=entry.folder)

    def sync() -> None:
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some file systems have no such thing for folders
                place, reason = os.path.dirname(entry.place), describe_os_error(error)
                _log.warning("a change in %s may not outlast a power cut: %s", place, reason)

    try:
        yield sync
        sync()
    finally:
        os.close(descriptor)
