"""Where clients come in: by which sockets, as the command line, a service manager or the environment has it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from accountd import paths
from accountd.errors import SocketError
from accountd.server.token_socket import TokenSocket
from accountd.system.unix_socket import open_inherited_listener, open_unix_listener

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import trio

    from accountd.protocol.status import StartedBy
    from accountd.system.activation import Activated

Place = Path | socket.socket
"""A path to listen on, or a socket on which the service manager listens already."""


class Listeners(NamedTuple):
    """The ways in. Without a main one, standard input and output are served.

    With `exit_when_idle` the daemon ends when nobody has been there for so many seconds.
    """

    main: Place | None
    token: TokenSocket | None = None
    exit_when_idle: float | None = None
    started_by: StartedBy = "person"

    @property
    def needs_starting(self) -> bool:
        """Whether no client would start another: one that listens by itself, as a person or a manager has it."""
        return isinstance(self.main, Path) and self.started_by != "client"


def choose_listeners(
    given: Activated,
    listen: Path | None,
    token_socket: Path | None,
    *,
    stdio: bool,
    exit_when_idle: float | None,
    started_by: StartedBy = "person",
) -> Listeners:
    """Choose between what a service manager gave, what was asked for, and the default of this environment.

    Raises SocketError where two of them speak of the same, and ConfigError where the default cannot be had.
    """
    if given.main is None and exit_when_idle is not None:
        raise SocketError("--exit-when-idle needs a socket from a service manager, which starts us again")
    if (given.main and (listen or stdio)) or (given.token and token_socket):
        raise SocketError("a service manager gave the socket, and the command line names another")
    usual = None if stdio else listen or Path(paths.socket_path(os.environ))
    return Listeners(given.main or usual, _find_token_socket(given.token, token_socket), exit_when_idle, started_by)


def _find_token_socket(given: socket.socket | None, path: Path | None) -> TokenSocket | None:
    if given is not None:
        return TokenSocket(given)
    return None if path is None else TokenSocket(path, Path(paths.token_lock(os.environ, path)))


def open_listener(place: Place) -> AbstractContextManager[trio.SocketListener]:
    """Listen for a block. Raises SocketError."""
    return open_unix_listener(place) if isinstance(place, Path) else open_inherited_listener(place)


def describe_place(place: Place | None) -> str:
    """Name it for a person."""
    if place is None:
        return "standard input"
    return str(place if isinstance(place, Path) else place.getsockname())
