"""The socket and CODEX_HOME on the disk: whose they are, who else may use them, and whether there is room."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from accountd import paths
from accountd.doctor.findings import fail, ok, warn
from accountd.errors import ConfigError, describe_os_error
from accountd.files.ownership import OPT_OUT, UnsafePath, login_name, name_user, render_mode, trusts_unsafe_paths
from accountd.files.users import REMEDY, find_lookalikes
from accountd.files.walk import check_folder, open_ours
from accountd.storage.trouble import cannot
from accountd.system.unix_socket import MAX_PATH

if TYPE_CHECKING:
    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings

_FILES: Final = (
    paths.CONFIG,
    paths.SETTINGS,
    paths.CREDENTIAL,
    *paths.CREDENTIAL_LOCKS,
    paths.REQUIREMENTS,
    paths.LOG,
    paths.AUDIT_LOG,
    paths.AUDIT_LOG_OF_GUESTS,
)
"""What accountd reads and writes in CODEX_HOME."""

PORTABLE_PATH: Final = 103
"""Bytes of a socket's path that fit everywhere; macOS has the least room."""

LOW: Final = 100 << 20
FULL: Final = 1 << 20
"""Bytes that should be, and must be, free where the credential is written; it has some kilobytes itself."""


def check_socket_path(surroundings: Surroundings) -> Finding:
    """Look whether the path of the socket fits into an address."""
    try:
        path = surroundings.socket
    except ConfigError as error:
        return fail(str(error), "set ACCOUNTD_SOCKET to an absolute path, or unset it")
    size = len(os.fsencode(path))
    remedy = "set ACCOUNTD_SOCKET to a shorter path, for every client and for the daemon"
    if size > MAX_PATH:
        return fail(f"the path has {size} bytes, and {MAX_PATH} is the most here: {path}", remedy, path=str(path))
    if size > PORTABLE_PATH:
        text = f"the path has {size} bytes, and {PORTABLE_PATH} is the most elsewhere: {path}"
        return warn(text, remedy, path=str(path))
    return ok(f"{size} bytes of {PORTABLE_PATH}", path=str(path))


def check_socket(surroundings: Surroundings) -> Finding:
    """Look whether another user could reach the socket, or put one of theirs in its place."""
    if (reason := find_lookalikes()) is not None:
        return fail(reason, REMEDY)
    try:
        return _look_at_socket(surroundings.socket)
    except OSError as error:  # the folder is another user's, as that of a session before `su`
        text = f"{surroundings.socket.parent} cannot be looked at: {describe_os_error(error)}"
        return fail(text, "set XDG_RUNTIME_DIR, or ACCOUNTD_SOCKET, to a folder of yours; or unset it")


def _look_at_socket(path: Path) -> Finding:
    folder = path.parent
    if not folder.is_dir():
        if folder.exists():
            return fail(f"{folder} is not a folder", f"remove it: `rm {_quote(folder)}`")
        return ok(f"{folder} is not there yet; the daemon makes it, for its user alone")
    try:
        check_folder(folder)
    except UnsafePath as error:
        return fail(error.problem, error.remedy, place=error.place)
    with suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISSOCK(found.st_mode):
            return fail(f"{path} is not a socket", f"remove it: `rm {_quote(path)}`")
        if found.st_uid != os.getuid():
            return fail(
                f"the socket belongs to {name_user(found.st_uid)}", "set ACCOUNTD_SOCKET to a path of your own"
            )
        if found.st_mode & 0o077:
            text = f"other users may connect to the socket: mode {render_mode(found)}"
            return fail(text, f"`chmod 600 {_quote(path)}`", socket=str(path), mode=render_mode(found))
        return ok(f"yours alone: mode {render_mode(found)} in {folder}", socket=str(path), mode=render_mode(found))
    return ok(f"{folder} is safe; no socket is there")


def check_home(surroundings: Surroundings) -> Finding:
    """Look whether another user could read the credential, or write what is read beside it."""
    home = surroundings.home
    if not home.exists():
        return ok(f"{home} is not there yet; the first login makes it, for its user alone")
    if not home.is_dir():
        return fail(f"{home} is not a folder", "set CODEX_HOME to a folder")
    try:
        _look_for_others(home)
    except UnsafePath as error:
        return fail(error.problem, error.remedy, place=error.place)
    found = home.stat()
    if found.st_uid != os.getuid() and not os.access(home, os.W_OK | os.X_OK):
        text = f"{home} belongs to {name_user(found.st_uid)}, not to you"
        return fail(
            text, f"`sudo chown -R {login_name(os.getuid())} {_quote(home)}`", owner=name_user(found.st_uid)
        )
    document = home / paths.CREDENTIAL
    with suppress(FileNotFoundError):
        found = document.stat()
        if not stat.S_ISREG(found.st_mode):
            return ok(f"{home} is yours; auth.json is no file, for which see auth.store")
        if found.st_uid != os.getuid() and not trusts_unsafe_paths():
            text = f"auth.json belongs to {name_user(found.st_uid)}, not to you"
            return fail(text, f"`sudo chown {login_name(os.getuid())} {_quote(document)}`")
        if found.st_mode & 0o077:
            text = f"other users may read the credential: auth.json has mode {render_mode(found)}"
            return fail(text, f"`chmod 600 {_quote(document)}`", mode=render_mode(found))
    if trusts_unsafe_paths():
        return warn(f"{OPT_OUT} is set: paths that others may write to are used", f"unset {OPT_OUT}, if you can")
    if document.exists():
        return ok(f"{home} is yours, and auth.json yours alone", mode=render_mode(found))
    return ok(f"{home} is yours, and has no auth.json")


def _look_for_others(home: Path) -> None:
    """Look at the folder and at all that is read and written there. Raises UnsafePath."""
    check_folder(home)
    for name in _FILES:
        with suppress(FileNotFoundError):
            try:
                os.close(open_ours(home / name, os.O_RDONLY))
            except UnsafePath:
                raise
            except OSError:  # what cannot be read is for the check of what reads it
                continue


def check_disk(surroundings: Surroundings) -> Finding:
    """Write a file where the credential is written, and look how much room is left."""
    home = surroundings.home
    place = next(folder for folder in (home, *home.parents) if folder.is_dir())
    if place != home:
        if not os.access(place, os.W_OK | os.X_OK):
            return fail(
                f"{home} is not there, and {place} is not yours to make it in", "set CODEX_HOME to a folder"
            )
    else:
        try:
            with tempfile.TemporaryFile(dir=place) as file:  # which never has a name
                file.write(b"accountd doctor\n")
                file.flush()
        except OSError as error:
            told = cannot("written", home, error)
            return fail(told.problem, told.remedy or f"`df -h {_quote(home)}` tells of the disk")
    free = shutil.disk_usage(place).free
    text = f"{_size(free)} free in {place}"
    if free < LOW:
        remedy = f"make room on the disk of {place}: `df -h {_quote(place)}`"
        return (fail if free < FULL else warn)(f"only {text}", remedy, free=str(free))
    return ok(f"{text}, and it can be written", free=str(free))


def _quote(path: Path) -> str:
    return shlex.quote(str(path))


def _size(free: int) -> str:
    return f"{free / (1 << 30):.1f} GiB" if free >= 1 << 30 else f"{free / (1 << 20):.1f} MiB"
