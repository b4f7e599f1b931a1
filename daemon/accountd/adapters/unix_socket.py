"""The Unix socket: a path that only its owner can reach, and who is at the other end of a connection."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import select
import socket
import stat
import struct
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.errors import SocketError, describe_os_error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MAX_PATH: Final = 103 if sys.platform == "darwin" else 107
"""Bytes of a socket's path: the room in sockaddr_un, less the NUL at its end."""

_BACKLOG: Final = 128

_log = logging.getLogger(__name__)


class Peer(msgspec.Struct, frozen=True):
    """The process that connected, as the kernel noted it then. The pid may have gone to another one since."""

    uid: int
    pid: int


def peer_credentials(sock: trio.socket.SocketType) -> Peer:
    """Ask the kernel who connected."""
    if sys.platform == "darwin":
        local_peercred, local_peerpid, sol_local = 1, 2, 0
        credentials = sock.getsockopt(sol_local, local_peercred, 76)
        _version, uid = struct.unpack_from("=II", credentials)
        return Peer(uid, sock.getsockopt(sol_local, local_peerpid))
    pid, uid, _gid = struct.unpack("=iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Peer(uid, pid)


def has_hung_up(sock: trio.socket.SocketType) -> bool:
    """Say whether the other end is closed both ways: nobody will read an answer."""
    poll = select.poll()
    poll.register(sock.fileno(), 0)  # a hang-up is told without being asked for
    return any(event & select.POLLHUP for _, event in poll.poll(0))


@contextmanager
def open_unix_listener(path: Path) -> Iterator[trio.SocketListener]:
    """Listen on a path for the block, and remove it afterwards. Raises SocketError.

    A missing folder is made with mode 0700; one that is there must be safe from other users. The socket has
    mode 0600 from the moment it exists. A stale one is replaced, a live one is not.
    """
    encoded = os.fsencode(path)
    if len(encoded) > MAX_PATH:
        raise SocketError(f"the socket path is {len(encoded)} bytes long, and {MAX_PATH} is the most: {path}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(path.parent)
        sock = _bind(path)
        identity = _identity(path)
    except OSError as error:
        raise SocketError(f"cannot listen on {path}: {describe_os_error(error)}") from error
    try:
        sock.setblocking(False)
        yield trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    finally:
        sock.close()
        with suppress(OSError):
            if _identity(path) == identity:  # somebody may have put another one in its place
                path.unlink()


@contextmanager
def open_inherited_listener(sock: socket.socket) -> Iterator[trio.SocketListener]:
    """Listen on a socket that belongs to the service manager, and leave its file alone.

    The file and its folder are the manager's to protect; where it did not, that is said, and no more.
    """
    path = Path(sock.getsockname())
    try:
        _check_folder(path.parent, trusted=[_unknown_uid()])
        if path.lstat().st_mode & 0o077:
            _log.warning("other users may reach %s, and are refused; give the socket the mode 0600", path)
    except (OSError, SocketError) as error:
        _log.warning("the socket of the service manager: %s", error)
    with sock:
        sock.setblocking(False)
        yield trio.SocketListener(trio.socket.from_stdlib_socket(sock))


def _check_folder(folder: Path, trusted: Collection[int | None] = ()) -> None:
    """Make sure that no other user can put a socket of theirs in the place of ours, here or further up."""
    for place in (folder, *folder.resolve().parents):
        found = place.stat()
        if found.st_uid not in (os.getuid(), 0, *trusted):
            raise SocketError(f"a folder on the way to the socket belongs to somebody else: {place}")
        # Above the folder itself a writable group is let be: on many systems it is the user's own.
        writable = stat.S_IWOTH if place != folder else stat.S_IWOTH | stat.S_IWGRP
        if found.st_mode & writable and not found.st_mode & stat.S_ISVTX:
            raise SocketError(f"other users can write to a folder on the way to the socket: {place}")


def _unknown_uid() -> int | None:
    """Give the uid as which root shows in a user namespace that has no root, as that of a hardened unit.

    Everybody else shows so, too, and cannot be told from root.
    """
    try:
        ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
        if any(int(first) == 0 for first, _, _ in ranges):
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):  # another system than Linux
        return None


def _bind(path: Path) -> socket.socket:
    """Bind and listen, one process at a time: between finding a stale socket and replacing it lies a race."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # held for a moment by everybody who does, so waiting is short
        _clear_stale(path)
        sock = socket.socket(socket.AF_UNIX)
        umask = os.umask(0o177)
        try:
            sock.bind(os.fspath(path))
            sock.listen(_BACKLOG)
        except BaseException:  # whatever it was, nothing stays open; and it goes on
            sock.close()
            raise
        finally:
            os.umask(umask)
        return sock
    finally:
        os.close(folder)


def _clear_stale(path: Path) -> None:
    """Remove the socket of a daemon that is gone. Raises SocketError if it is not gone, or is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"the socket path exists and is not a socket: {path}")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        answer = probe.connect_ex(os.fspath(path))
    if answer not in (errno.ECONNREFUSED, errno.ENOENT):
        raise SocketError(f"the socket is already in use by a running server: {path}")
    with suppress(FileNotFoundError):
        path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
