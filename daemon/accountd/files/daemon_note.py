"""The note of which daemons there are for a CODEX_HOME: one line of JSON for each, in the folder of its log.

A daemon is found by its socket's path, which goes by variables that a cron job, an editor or another shell may have
otherwise. Who would start one reads here that another is there already. A line is no proof: it outlasts a daemon
that was killed, so whoever reads it connects; and it names its home, which may have been copied with it.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from accountd import paths
from accountd.errors import describe_os_error
from accountd.files.read import read_own_file
from accountd.files.walk import open_ours

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


def read_noted(folder: str | os.PathLike[str], home: str | os.PathLike[str]) -> list[str]:
    """Give the sockets that daemons of this CODEX_HOME have noted in its folder, the oldest first."""
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
    """Add a daemon, in the place of those that listen no more; give the sockets of the others that do."""
    own = os.fspath(socket)
    others = [noted for noted in read_noted(folder, home) if noted != own and listens(noted)]
    lines = [json.dumps({"codexHome": os.fspath(home), "socket": noted}) + "\n" for noted in (*others, own)]
    path = os.path.join(folder, paths.DAEMONS)
    try:
        with os.fdopen(open_ours(path, os.O_RDWR | os.O_CREAT, make_folders=True, private=True), "r+b") as file:
            file.truncate()
            file.write("".join(lines).encode())
    except OSError as error:  # then another may be started, and shares the login
        _log.warning("who would start another daemon is not told of this one: %s", describe_os_error(error))
    return others
