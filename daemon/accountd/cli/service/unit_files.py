"""The files that a service manager reads about the daemon: made here, for `accountd service` and for contrib/."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd.cli.exits import Failure
from accountd.paths import SERVICE_UNIT, SOCKET_UNIT
from accountd.system.activation import LAUNCHD_LABEL, LAUNCHD_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNWRITABLE = "".join(map(chr, (*range(0x20), 0x7F, 0xFFFE, 0xFFFF)))
"""Characters that systemd, or XML 1.0, does not have within a value."""

_FOLDER = os.path.join(os.path.dirname(__file__), "units")


def render_systemd(command: Sequence[str]) -> dict[str, bytes]:
    """Make the units, for a daemon that is run by this command, of a path and of options that need no escapes.

    Raises Failure for a path that systemd takes in no form, however it is quoted.
    """
    program, *options = command
    words = " ".join(map(_quote, (_check(program, refused="\"'\\"), *options)))
    service = read_unit(SERVICE_UNIT).replace(b"@ACCOUNTD@", words.encode())
    return {SOCKET_UNIT: read_unit(SOCKET_UNIT), SERVICE_UNIT: service}


def read_unit(name: str) -> bytes:
    """Read one of the files as it is kept."""
    with open(os.path.join(_FOLDER, name), "rb") as file:
        return file.read()


def render_launchd(command: Sequence[str], socket: str, log: str) -> bytes:
    """Make the property list of a LaunchAgent. launchd expands nothing in it, so that the paths are whole.

    Raises Failure for a path that XML cannot say.
    """
    import plistlib  # for macOS alone

    job = {
        "Label": LAUNCHD_LABEL,
        "ProgramArguments": [*map(_check, command), "serve"],
        "Sockets": {LAUNCHD_NAME: {"SockPathName": _check(socket), "SockPathMode": 0o600, "SockType": "stream"}},
        "StandardErrorPath": _check(log),
        "Umask": 0o077,
        "SoftResourceLimits": {"Core": 0},
        "HardResourceLimits": {"Core": 0},
        "ExitTimeOut": 60,
        "ProcessType": "Adaptive",
    }
    return plistlib.dumps(job, sort_keys=False)


def _check(path: str, refused: str = "") -> str:
    """Return a path as text. Raises Failure where the service manager would read another, or read on after it."""
    try:
        text = os.fsencode(path).decode()  # both read UTF-8, whatever the locale of this process
        bad = next((ascii(character) for character in text if character in _UNWRITABLE + refused), None)
    except UnicodeDecodeError:
        bad = "bytes that are no UTF-8"
    if bad is None:
        return text
    raise Failure(
        f"the service manager cannot be told of a path that has {bad} in it: {path}; choose another folder"
    )


def _quote(word: str) -> str:
    """Write one word of ExecStart=, with nothing in it for systemd to expand."""
    plain = word.replace("%", "%%")
    return f'"{plain}"' if set(plain) & set(" ;") else plain
