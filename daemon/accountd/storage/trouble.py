"""Words for what the disk has against a credential: which path, the system's reason, and what a person can do."""

from __future__ import annotations

import errno
import os
import shlex
from typing import TYPE_CHECKING, Literal

from accountd import paths
from accountd.errors import StorageError, describe_os_error
from accountd.files.ownership import UnsafePath, find_permission
from accountd.files.walk import NoRegularFile

if TYPE_CHECKING:
    from pathlib import Path

Work = Literal["used", "read", "written", "removed", "locked"]


def cannot(be: Work, path: Path, error: OSError) -> StorageError:
    """Make the error of something that could not be done to a file. It names the path that is to be mended."""
    match error:
        case UnsafePath(problem=problem, remedy=remedy):  # which names the place
            return StorageError(problem, remedy)
    problem = f"{paths.tell(path)} cannot be {be}: {describe_os_error(error)}"
    return StorageError(problem, _find_remedy(path, error))


def _find_remedy(path: Path, error: OSError) -> str | None:
    folder = _quote(path.parent)
    match error.errno:
        case errno.EISDIR:
            return f"a folder is in its place: `mv {_quote(path)} {_quote(path.with_name(f'{path.name}.old'))}`"
        case errno.EROFS:
            return "set CODEX_HOME to a folder that can be written, or mount it so"
        case errno.EPERM:
            return f"it or its folder is immutable: `sudo chattr -i -a {folder} {_quote(path)}`"
        case errno.EACCES:
            return find_permission(os.fspath(path.parent), os.fspath(path))
        case errno.ENOSPC | errno.EDQUOT:
            return f"make room: `df -h {folder}` tells of the disk"
        case errno.ELOOP:
            return f"the link leads to itself: `rm {_quote(path)}`"
        case errno.ENOENT if path.is_symlink():
            return f"it is a link to where nothing is: `mkdir -p {_quote(_find_target_folder(path))}`"
        case errno.ENOENT | errno.ENOTDIR:
            return f"see what {paths.tell(path.parent)} is"
        case _ if isinstance(error, NoRegularFile):
            return f"something else is in its place: `ls -l {_quote(path)}`"
    return None


def _find_target_folder(path: Path) -> Path:
    return path.parent.joinpath(path.readlink()).parent


def _quote(path: Path) -> str:
    return shlex.quote(paths.tell(path))
