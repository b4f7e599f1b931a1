"""The way to the daemon, to the one that listens or to one that is started; and how a client introduces itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from accountd import __version__
from accountd.client.errors import NothingListens
from accountd.client.unix_socket import open_socket

if TYPE_CHECKING:
    import socket
    from pathlib import Path


LONGEST_MESSAGE: Final = 16 * 1024 * 1024
"""Bytes in one line of the daemon's; Codex ends a connection over larger frames."""


def introduce(name: str, title: str | None) -> dict[str, Any]:
    """Return the params of `initialize`: all that the protocol has is asked for, and what accountd adds."""
    return {
        "clientInfo": {"name": name, "title": title or name, "version": __version__},
        "capabilities": {"experimentalApi": True, "extensions": {"accountd": {}}},
    }


def open_connection(path: str | Path, timeout: float, *, start: bool) -> socket.socket:
    """Connect to the socket at `path`; with `start`, start a daemon of this environment if nothing listens.

    Raises what `open_socket` raises, but with `start` DaemonNotStarted instead of NothingListens.
    """
    try:
        return open_socket(path, timeout)
    except NothingListens:
        if not start:
            raise
    from accountd.client.autostart import open_or_start  # most find a daemon, and start sooner without this

    return open_or_start(path, os.environ, timeout)
