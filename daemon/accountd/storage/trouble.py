"""Words for what the disk has against a credential: which path, the system's reason, and what a person can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from accountd import paths
from accountd.errors import StorageError, describe_os_error
from accountd.files.ownership import UnsafePath
from accountd.files.remedy import find_remedy

if TYPE_CHECKING:
    from pathlib import Path

Work = Literal["used", "read", "written", "removed", "locked"]


def cannot(be: Work, path: Path, error: OSError) -> StorageError:
    """Make the error of something that could not be done to a file. It names the path that is to be mended."""
    match error:
        case UnsafePath(problem=problem, remedy=remedy):  # which names the place
            return StorageError(problem, remedy)
    return StorageError(f"{paths.tell(path)} cannot be {be}: {describe_os_error(error)}", find_remedy(path, error))
