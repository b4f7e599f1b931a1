"""The daemon's Unix socket: the connection to it, and a look at who listens there."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from accountd.client.errors import DaemonUnreachable, NothingListens
from accountd.files.users import REMEDY, find_lookalikes
from accountd.system.peer_credentials import peer_credentials

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.system.peer_credentials import Peer

_PAUSE = 0.01
"""Seconds until a socket whose queue is full is tried again; nobody tells when there is a place in it."""


def open_socket(path: str | Path, timeout: float) -> socket.socket:
    """Connect to the socket at `path` within so many seconds, which stay the timeout of the connection.

    Raises NothingListens, or DaemonUnreachable if it is another person's socket, may not be opened, or has a queue
    of clients that stays full for so long.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        _connect(connection, str(path), timeout)
        _check_owner(peer_credentials(connection), path)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        connection.close()
        raise NothingListens(f"nothing listens on {path}") from error
    except OSError as error:
        connection.close()
        # Without a number it is Python's own: of the time that is over, or of the path.
        reason = error.strerror or ("no answer" if isinstance(error, TimeoutError) else "the path is too long")
        raise DaemonUnreachable(f"cannot connect to {path}: {reason}") from error
    except BaseException:  # as above: a stranger's socket, and Ctrl-C
        connection.close()
        raise
    return connection


def _connect(connection: socket.socket, path: str, timeout: float) -> None:
    """Connect, in turn with a crowd that does the same: a socket with a timeout waits for no place itself."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return connection.connect(path)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                words = f"too many clients have been waiting for it for {timeout:g} seconds"
                raise OSError(error.errno, words) from error
        time.sleep(_PAUSE)


def find_listener(path: str | Path, timeout: float = 4.0) -> int | None:
    """Ask the kernel for the process that listens, which may not answer; None where there is none to be seen."""
    try:
        with open_socket(path, timeout) as connection:
            peer = peer_credentials(connection)
    except DaemonUnreachable:
        return None
    return None if peer is None else peer.pid or None


def _check_owner(peer: Peer | None, path: str | Path) -> None:
    """Raise DaemonUnreachable unless the daemon is this person's own, or root's.

    Whoever serves the socket is sent API keys, and chooses the code that the person is told to approve; in a
    folder that everybody may write to, that could be anybody.
    """
    if peer is None:
        raise DaemonUnreachable(f"{path} is served by somebody of whom the system does not tell; try again")
    if peer.uid not in (os.geteuid(), 0):
        raise DaemonUnreachable(f"{path} is served by another user (uid {peer.uid}), who must not see your login")
    if peer.uid and (reason := find_lookalikes()) is not None:
        raise DaemonUnreachable(f"{path} may be served by anybody: {reason}; {REMEDY}")
