"""The way to the daemon: to the one that listens, or to one that is started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd.client.errors import NothingListens
from accountd.client.unix_socket import open_socket

if TYPE_CHECKING:
    import socket
    from pathlib import Path


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
