"""Who is at the other end of a Unix socket, as the kernel says. On the standard library alone: clients ask, too."""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import trio


class Peer(NamedTuple):
    """The process that connected or listens, as the kernel noted it then. The pid may be another one's by now."""

    uid: int
    pid: int


def peer_credentials(sock: trio.socket.SocketType | socket.socket) -> Peer | None:
    """Ask the kernel who is there; None where it will not say: macOS knows nothing of one that has left."""
    try:
        if sys.platform == "darwin":
            local_peercred, local_peerpid, sol_local = 1, 2, 0
            credentials = sock.getsockopt(sol_local, local_peercred, 76)
            _version, uid = struct.unpack_from("=II", credentials)
            return Peer(uid, sock.getsockopt(sol_local, local_peerpid))
        pid, uid, _gid = struct.unpack("=iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError:
        return None
    return Peer(uid, pid)
