"""The Unix socket: a path that only its owner can reach, and who is at the other end of a connection."""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import stat
import sys
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import SocketError, describe_os_error
from accountd.files.users import REMEDY, find_lookalikes
from accountd.files.walk import check_folder
from accountd.system.instance_lock import hold_instance_lock
from accountd.system.peer_credentials import peer_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PATH: Final = 103 if sys.platform == "darwin" else 107
"""Bytes of a socket's path: the room in sockaddr_un, less the NUL at its end."""

_BACKLOG: Final = 65_535
"""Clients that wait to be accepted. The system takes what it allows of it (`net.core.somaxconn`, 4096 by default);
one more is an error at once for whoever connects without waiting."""

_log = logging.getLogger(__name__)


def has_hung_up(sock: trio.socket.SocketType) -> bool:
    """Return True if the other end is closed both ways: nobody will read an answer."""
    poll = select.poll()
    poll.register(sock.fileno(), 0)  # a hang-up is told without being asked for
    return any(event & select.POLLHUP for _, event in poll.poll(0))


@contextmanager
def open_unix_listener(
    path: Path, lock: Path | None = None, *, patience: float | None = None
) -> Iterator[trio.SocketListener]:
    """Listen on a path for the block, and remove it afterwards. Raises SocketError.

    A missing folder is made with mode 0700; one that is there must be safe from other users. The socket has
    mode 0600 from the moment it exists. A stale one is replaced, a live one is not. `lock` and `patience` are
    those of the instance lock; a folder of its own is held to the same.
    """
    _require_a_uid_of_our_own()
    check_length(path)
    with ExitStack() as held:
        try:
            check_folder(path.parent, make=True)
            if lock is not None:
                check_folder(lock.parent, make=True)
            held.enter_context(hold_instance_lock(path, partial(is_live, path), lock, patience=patience))
            _clear_stale(path)
            sock = held.enter_context(_bind(path))
        except OSError as error:
            raise SocketError(f"cannot listen on {path}: {describe_os_error(error)}") from error
        yield trio.SocketListener(trio.socket.from_stdlib_socket(sock))


def check_length(path: Path) -> None:
    """Make sure that a path fits into the address of a socket. Raises SocketError."""
    length = len(os.fsencode(path))
    if length > MAX_PATH:
        raise SocketError(f"the socket path is {length} bytes long, and {MAX_PATH} is the most: {path}")


@contextmanager
def open_inherited_listener(sock: socket.socket) -> Iterator[trio.SocketListener]:
    """Listen on a socket that belongs to the service manager, and leave its file alone.

    The file and its folder are the manager's to protect; where it did not, that is said, and no more. Raises
    SocketError where the kernel does not tell us who connects.
    """
    _require_a_uid_of_our_own()
    path = Path(sock.getsockname())
    try:
        check_folder(path.parent)
        if path.lstat().st_mode & 0o077:
            _log.warning("other users may reach %s, and are refused; give the socket the mode 0600", path)
    except OSError as error:
        _log.warning("the socket of the service manager: %s", describe_os_error(error))
    with sock:
        sock.setblocking(False)
        yield trio.SocketListener(trio.socket.from_stdlib_socket(sock))


def _require_a_uid_of_our_own() -> None:
    """Raise SocketError where the uid of a client would not say whether it is ours."""
    if (reason := find_lookalikes()) is not None:
        raise SocketError(f"{reason}; {REMEDY}")


@contextmanager
def _bind(path: Path) -> Iterator[socket.socket]:
    """Bind and listen for the block, and remove the socket afterwards."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        umask = os.umask(0o177)
        try:
            sock.bind(os.fspath(path))
        finally:
            os.umask(umask)
        identity = identify(path)
        try:
            sock.listen(_BACKLOG)
            yield sock
        finally:
            if identify(path) == identity:  # somebody may have put another one in its place
                with suppress(OSError):
                    path.unlink()


def _clear_stale(path: Path) -> None:
    """Remove the socket of a daemon that is gone. Raises SocketError if it is not gone, or is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"the socket path exists and is not a socket: {path}")
    if is_live(path):  # of a server that knows nothing of the lock
        raise SocketError(f"the socket is already in use by a running server: {path}")
    with suppress(FileNotFoundError):
        path.unlink()


def is_live(path: str | Path) -> bool:
    """Return True if somebody listens on a path."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(os.fspath(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


def identify(path: Path) -> tuple[int, int] | None:
    """Return what tells the socket at a path from any other there; None if none is there that can be seen."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def is_ours(path: Path) -> bool:
    """Return True if it is this process that listens on a path, by connecting: it will see a client that leaves."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        if probe.connect_ex(os.fspath(path)):
            return False
        peer = peer_credentials(probe)
        return peer is not None and peer.pid == os.getpid()
