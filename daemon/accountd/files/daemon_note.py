"""The note of which daemons there are for a CODEX_HOME: one line of JSON for each, in the folder of its log.

A daemon is found by its socket's path, which goes by variables that a cron job, an editor or another shell may have
otherwise. Who would start one reads here that another is there already. A line is no proof: it outlasts a daemon
that was killed, so whoever reads it connects; and it names its home, which may have been copied with it.

Two daemons may start at the same moment, and a verb read meanwhile. So whoever adds a line holds a lock, on the
folder, since the file is replaced; and whoever reads finds the file whole, as it was or as it is.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from accountd import paths
from accountd.errors import describe_os_error
from accountd.files.flock import NoLocks, wait_lock
from accountd.files.read import read_own_file
from accountd.files.walk import check_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE: Final = 1.0
"""Seconds for another daemon to write its line; it takes a few milliseconds."""

_log = logging.getLogger(__name__)


def read_noted(folder: str | os.PathLike[str], home: str | os.PathLike[str]) -> list[str]:
    """Return the sockets that daemons of this CODEX_HOME have noted in its folder, the oldest first."""
    try:
        lines = read_own_file(os.path.join(folder, paths.DAEMONS)).splitlines()
    except OSError:  # nobody has noted anything that can be relied on
        return []
    found = []
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            noted = json.loads(line)
            if os.path.realpath(noted["codexHome"]) == os.path.realpath(home):
                found.append(str(noted["socket"]))
    return found


def note_daemon(
    folder: str | os.PathLike[str],
    home: str | os.PathLike[str],
    socket: str | os.PathLike[str],
    listens: Callable[[str], bool],
) -> list[str]:
    """Add a daemon, in the place of those that listen no more; return the sockets of the others that do."""
    from accountd.files.replace import replace_file  # which those who only read have no use for

    own, path = os.fspath(socket), os.path.join(folder, paths.DAEMONS)
    others: list[str] = []
    try:
        with _hold_folder(os.path.dirname(path)):
            others += [noted for noted in read_noted(folder, home) if noted != own and listens(noted)]
            lines = [json.dumps({"codexHome": os.fspath(home), "socket": noted}) for noted in (*others, own)]
            replace_file(path, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:  # then another may be started, and shares the login
        _log.warning("who would start another daemon is not told of this one: %s", describe_os_error(error))
    return others


@contextmanager
def _hold_folder(folder: str) -> Iterator[None]:
    """Keep other daemons from adding theirs, unless the folder cannot be locked, or somebody keeps it so."""
    descriptor = os.open(check_folder(folder, make=True), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(NoLocks):
            wait_lock(descriptor, _PATIENCE)
        yield
    finally:
        os.close(descriptor)
