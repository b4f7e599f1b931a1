"""Where goes what is written beside the credential: the log, the audit log, the copy of the requirements.

That is CODEX_HOME. But one that is read-only, or whose log belongs to another user, keeps nobody from using what is
stored in it. So there is a folder for it among the state files, and one among the runtime files, and whoever writes
or looks for a log chooses the same one here.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from accountd import paths
from accountd.errors import describe_os_error
from accountd.files.ownership import UnsafePath
from accountd.files.walk import check_folder, open_ours

if TYPE_CHECKING:
    from collections.abc import Mapping


_REMEDY: Final = "make it one that can be written, if you can"


class Fault(NamedTuple):
    """Why a folder cannot be written. With `closed`, its owner or mode is why, and somebody can mend that."""

    problem: str
    remedy: str
    closed: bool = False


class OwnFolder(NamedTuple):
    """The folder, which need not be there yet. `fault` says why it is not CODEX_HOME, or why none will do."""

    path: str
    fault: Fault | None = None

    @property
    def log(self) -> str:
        """The file that takes the log of a daemon which a client started, since it has no terminal."""
        return os.path.join(self.path, paths.LOG)


def find_own_folder(environ: Mapping[str, str]) -> OwnFolder:
    """Choose the folder; CODEX_HOME where none can be written. Nothing is made.

    Raises ConfigError where the environment leads to no CODEX_HOME.
    """
    home = paths.codex_home(environ)
    fault = _find_fault(home)
    if fault is None:
        return OwnFolder(home)
    path = next((folder for folder in paths.folders_beside(environ) if _find_fault(folder) is None), home)
    return OwnFolder(path, fault)


def _find_fault(folder: str) -> Fault | None:
    place = _find_first(os.path.join(folder, os.path.dirname(paths.LOG)))
    try:
        _require_writable(place)
        for name in paths.OWN_LOGS:
            place = os.path.join(folder, name)
            try:
                os.close(open_ours(place, os.O_WRONLY | os.O_APPEND, private=True))
            except FileNotFoundError:
                continue
    except UnsafePath as error:
        return Fault(error.problem, error.remedy, closed=True)
    except OSError as error:
        from accountd.files.remedy import find_remedy  # for a fault alone: whoever starts a daemon comes here

        remedy, problem = find_remedy(place, error), f"{place} cannot be written: {describe_os_error(error)}"
        return Fault(problem, remedy or _REMEDY, closed=error.errno == errno.EACCES)
    return None


def _find_first(folder: str) -> str:
    """Return a folder, or the one above it that is there, in which it would be made."""
    while not os.path.lexists(folder) and folder != "/":
        folder = os.path.dirname(folder)
    return folder


def _require_writable(folder: str) -> None:
    """Raise OSError unless this user may make files in a folder."""
    check_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        number = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(number, os.strerror(number))
