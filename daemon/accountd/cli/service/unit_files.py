"""The files that a service manager reads about the daemon: made here, for `accountd service` and for contrib/."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd.cli.exits import Failure
from accountd.paths import AGENT_UNIT, SERVICE_UNIT, SOCKET_UNIT
from accountd.system.activation import LAUNCHD_LABEL, LAUNCHD_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

LAUNCHD_AGENT_LABEL = "accountd-agent"
"""What launchd calls the job of the app-server."""

_UNWRITABLE = "".join(map(chr, (*range(0x20), 0x7F, 0xFFFE, 0xFFFF)))
"""Characters that systemd, or XML 1.0, does not have within a value."""

_REFUSED = "\"'\\"
"""What systemd takes for more than itself, also between quotation marks."""

_FOLDER = os.path.join(os.path.dirname(__file__), "units")


def render_systemd(command: Sequence[str]) -> dict[str, bytes]:
    """Make the units, for a daemon that is run by this command, of a path and of options that need no escapes.

    Raises Failure for a path that systemd takes in no form, however it is quoted.
    """
    return {SOCKET_UNIT: read_unit(SOCKET_UNIT), SERVICE_UNIT: _render_unit(SERVICE_UNIT, command)}


def render_systemd_agent(command: Sequence[str], path: str | None) -> dict[str, bytes]:
    """Make the unit of the app-server; with `path` as the PATH of what it starts. Raises as `render_systemd`."""
    unit = _render_unit(AGENT_UNIT, command)
    if path is not None:
        line = f"Environment={_quote('PATH=' + _check(path, refused=_REFUSED))}"
        unit = unit.replace(b"\nEnvironmentFile=", f"\n{line}\nEnvironmentFile=".encode())
    return {AGENT_UNIT: unit}


def _render_unit(name: str, command: Sequence[str]) -> bytes:
    program, *options = command
    words = " ".join(map(_quote, (_check(program, refused=_REFUSED), *options)))
    return read_unit(name).replace(b"@ACCOUNTD@", words.encode())


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


def render_launchd_agent(command: Sequence[str], path: str | None, log: str) -> bytes:
    """Make that of the app-server, with `path` as the PATH of what it starts. Raises as `render_launchd`."""
    import plistlib  # as above

    job = {
        "Label": LAUNCHD_AGENT_LABEL,
        "ProgramArguments": [*map(_check, command), "app-server", "--listen", "unix://"],
        **({} if path is None else {"EnvironmentVariables": {"PATH": _check(path)}}),
        "StandardErrorPath": _check(log),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "AbandonProcessGroup": True,  # the Codex that it has started is found again by the next one
        "Umask": 0o077,
        "SoftResourceLimits": {"Core": 0},
        "HardResourceLimits": {"Core": 0},
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
