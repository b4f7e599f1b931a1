"""The files that a service manager reads about the daemon: made here, for `accountd service` and for contrib/."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SOCKET, SERVICE, WITHOUT_NAMESPACE = "accountd.socket", "accountd.service", "no-namespace.conf"
LABEL = "accountd"
"""What launchd calls the job."""

_FOLDER = os.path.join(os.path.dirname(__file__), "units")


def render_systemd(command: Sequence[str]) -> dict[str, bytes]:
    """Make the units, for a daemon that is run by this command."""
    words = " ".join(map(_quote, command))
    return {SOCKET: read_unit(SOCKET), SERVICE: read_unit(SERVICE).replace(b"@ACCOUNTD@", os.fsencode(words))}


def read_unit(name: str) -> bytes:
    """Read one of the files as it is kept."""
    with open(os.path.join(_FOLDER, name), "rb") as file:
        return file.read()


def render_launchd(command: Sequence[str], socket: str, log: str) -> bytes:
    """Make the property list of a LaunchAgent. launchd expands nothing in it, so that the paths are whole."""
    import plistlib  # for macOS alone

    job = {
        "Label": LABEL,
        "ProgramArguments": [*command, "serve"],
        "Sockets": {"accountd": {"SockPathName": socket, "SockPathMode": 0o600, "SockType": "stream"}},
        "StandardErrorPath": log,
        "Umask": 0o077,
        "SoftResourceLimits": {"Core": 0},
        "HardResourceLimits": {"Core": 0},
        "ExitTimeOut": 60,
        "ProcessType": "Adaptive",
    }
    return plistlib.dumps(job, sort_keys=False)


def _quote(word: str) -> str:
    """Write one word of ExecStart=, with nothing in it for systemd to expand."""
    plain = word.replace("%", "%%")
    if not any(character in word for character in " \t\"'\\;"):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
