"""What a person can do about an error of the system: of a file or a folder that was to be used, in one command."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

from accountd import paths
from accountd.errors import describe_os_error
from accountd.files.ownership import UnsafePath, find_permission
from accountd.files.walk import NoRegularFile


def find_reason(error: OSError) -> str:
    """Describe what is wrong, without the remedy."""
    match error:
        case UnsafePath(problem=problem):
            return problem
    return describe_os_error(error)


def find_remedy(path: str | os.PathLike[str], error: OSError) -> str | None:
    """Return the command or the sentence for an error of what is at a path; None where there is none."""
    match error:
        case UnsafePath(remedy=remedy):
            return remedy
    path = Path(path)
    folder = _quote(path.parent)
    match error.errno:
        case errno.EISDIR:
            return f"a folder is in its place: {_move_away(path)}"
        case errno.EROFS:
            return "set CODEX_HOME to a folder that can be written, or mount it so"
        case errno.EPERM:
            return _unlock(path)
        case errno.EACCES:
            place = path if os.path.isdir(path) else path.parent
            is_closed = os.path.isdir(place) and not os.access(place, os.W_OK)
            allow = find_permission(os.fspath(path.parent), os.fspath(path))
            return allow or (_unlock(path) if is_closed else None)
        case errno.ENOSPC | errno.EDQUOT:
            return f"make room: `df -h {folder}` tells of the disk"
        case errno.ELOOP:
            return f"the link leads to itself: `rm {_quote(path)}`"
        case errno.ENOENT if os.path.islink(path):
            return f"it is a link to where nothing is: `mkdir -p {_quote(_find_target_folder(path))}`"
        case errno.ENOTDIR if os.path.exists(path):
            return f"something else is in the place of a folder: {_move_away(path)}"
        case errno.ENOENT | errno.ENOTDIR:
            return f"see what {paths.tell(path.parent)} is"
        case _ if isinstance(error, NoRegularFile) or error.errno == errno.ENXIO:  # of a pipe that nobody reads
            if not path.is_symlink() and (path.is_char_device() or path.is_block_device()):
                return "it is a device, which a link of yours leads to: remove that"
            return f"something else is in its place: {_move_away(path)}"
    return None


def _move_away(path: Path) -> str:
    return f"`mv {_quote(path)} {_quote(path.with_name(f'{path.name}.old'))}`"


def _unlock(path: Path) -> str:
    there = Path(os.path.realpath(next(place for place in (path, *path.parents) if os.path.exists(place))))
    places = (there,) if os.path.isdir(there) else (there.parent, there)
    return f"it or its folder is immutable: `sudo chattr -i -a {' '.join(map(_quote, places))}`"


def _find_target_folder(path: Path) -> Path:
    """Give the folder that is missing: what the link leads to may be one itself."""
    target = path.parent.joinpath(path.readlink())
    return target if os.path.isdir(target.parent) else target.parent


def _quote(path: Path) -> str:
    return shlex.quote(paths.tell(path))
