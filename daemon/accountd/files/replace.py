"""Replaces a file whole, for its owner alone to read; or removes it. Both outlast a power cut."""

from __future__ import annotations

import errno
import logging
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from accountd.errors import describe_os_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)


def replace_file(target: Path, document: bytes) -> None:
    """Give a file new content so that, whatever happens when, it has the old or the new one, whole.

    Returns when it is on the disk, which may be waited for. Raises OSError, and then the old content is there and
    nothing is left behind.
    """
    with _folder_synced_at_the_end(target.parent):
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:  # whatever it was, nothing half-written stays; and it goes on
            with suppress(OSError):
                temporary.unlink()
            raise


def remove_file(target: Path) -> None:
    """Remove a file. Returns when that is on the disk. Raises OSError, and then it is there."""
    with _folder_synced_at_the_end(target.parent):
        target.unlink()


@contextmanager
def _folder_synced_at_the_end(folder: Path) -> Iterator[None]:
    """Make a rename or removal of the block outlast a power cut. Raises OSError before the block alone.

    After it, everybody sees the change. To call it a failure because it may not last would be untrue at once, and
    not only after a power cut; so it is warned of.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some file systems have no such thing for folders
                _log.warning("a change in %s may not outlast a power cut: %s", folder, describe_os_error(error))
    finally:
        os.close(descriptor)
