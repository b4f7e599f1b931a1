"""Where goes what is written beside the credential: the log, the audit log, the copy of the requirements.

That is CODEX_HOME. But one that is read-only, or whose log belongs to another user, keeps nobody from using what is
stored in it. So there is a folder for it among the state files, and one among the runtime files, and whoever writes
or looks for a log chooses the same one here.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from accountd import paths
from accountd.errors import describe_os_error
from accountd.files.ownership import UnsafePath
from accountd.files.walk import check_folder, open_ours

if TYPE_CHECKING:
    from collections.abc import Mapping


class OwnFolder(NamedTuple):
    """The folder, which need not be there yet. `fault` says why it is not CODEX_HOME, or why none will do."""

    path: str
    fault: str | None = None
    remedy: str = "make it a folder that can be written, if you can"

    @property
    def log(self) -> str:
        """The file that takes the log of a daemon which a client started, since it has no terminal."""
        return os.path.join(self.path, paths.LOG)


def find_own_folder(environ: Mapping[str, str]) -> OwnFolder:
    """Choose the folder; CODEX_HOME where none can be written. Nothing is made.

    Raises ConfigError where the environment leads to no CODEX_HOME.
    """
    home = paths.codex_home(environ)
    error = _find_fault(home)
    if error is None:
        return OwnFolder(home)
    path = next((folder for folder in paths.folders_beside(environ) if _find_fault(folder) is None), home)
    if isinstance(error, UnsafePath):
        return OwnFolder(path, error.problem, error.remedy)
    return OwnFolder(path, f"nothing can be written in {home}: {describe_os_error(error)}")


def _find_fault(folder: str) -> OSError | None:
    try:
        _require_writable(os.path.join(folder, os.path.dirname(paths.LOG)))
        for name in paths.OWN_LOGS:
            try:
                os.close(open_ours(os.path.join(folder, name), os.O_WRONLY | os.O_APPEND, private=True))
            except FileNotFoundError:
                continue
    except OSError as error:
        return error
    return None


def _require_writable(folder: str) -> None:
    """Raise OSError unless this user may make files in a folder, or make the folder."""
    try:
        check_folder(folder)
    except FileNotFoundError:
        _require_writable(os.path.dirname(folder))
        return
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        number = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(number, os.strerror(number))
