"""What the file system of CODEX_HOME lacks, and what of it is mounted by itself: things that work all the same."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from accountd import paths
from accountd.doctor.findings import fail, ok, warn
from accountd.errors import describe_os_error
from accountd.files.flock import NoLocks, try_lock
from accountd.files.mounted import is_mounted
from accountd.files.own_folder import find_own_folder
from accountd.files.walk import find_entry

if TYPE_CHECKING:
    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings

_ELSEWHERE = "set CODEX_HOME to a folder on a disk of this machine"


def check_file_system(surroundings: Surroundings) -> Finding:
    """Look whether files there can be locked and replaced."""
    home = surroundings.home
    if not home.is_dir():
        return ok(f"{home} is not there yet")
    document = home / paths.CREDENTIAL
    try:
        with find_entry(document) as entry:
            place, mounted = Path(entry.place), is_mounted(entry)
        if mounted:
            text = f"{place} is mounted by itself, and so written in place, which a crash may cut short"
            return warn(text, f"mount its folder instead of the file, with a link {document} to it")
        _try_to_lock(home, place.parent)
    except NoLocks as error:
        text = f"the file system of {home} has no locks ({describe_os_error(error)}): two programs that refresh at "
        return warn(f"{text}the same time lose the login", f"use it in one program at a time, or {_ELSEWHERE}")
    except OSError:  # which is what the other checks are for
        return ok(f"{home} cannot be tried; see home.modes and home.disk")
    return ok("files can be locked and replaced")


def _try_to_lock(*folders: Path) -> None:
    for folder in folders:
        with tempfile.TemporaryFile(dir=folder) as file:
            try_lock(file.fileno())


def check_log(surroundings: Surroundings) -> Finding:
    """Look where the log and the audit log go."""
    folder = find_own_folder(surroundings.environ)
    fault = folder.fault
    if fault is None:
        return ok(f"the log of a daemon that a client starts is {folder.log}")
    if folder.path == os.fspath(surroundings.home):
        text = f"{fault.problem}, nor is there another folder for the log, so no client can start a daemon"
        return fail(text, f"{fault.remedy}; or set XDG_STATE_HOME to a folder that can be written")
    told = fail if fault.closed else warn  # one that is read-only may be so on purpose
    return told(f"{fault.problem}; the log and the audit log are in {folder.path}", fault.remedy)
