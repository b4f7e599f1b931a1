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
    main = given.main or (None if stdio else listen or Path(paths.socket_path(os.environ)))
    if isinstance(main, Path):
        _refuse_mounted(main)
    token = make_token_socket(token_socket, main) if token_socket is not None else None
    return Listeners(main, TokenSocket(given.token) if given.token else token, exit_when_idle, started_by)


def make_token_socket(path: Path, main: Place | None) -> TokenSocket:
    """Make the token socket at a path. Raises SocketError for a path that can never be one.

    Not in the folder of the main one: who mounts that folder into a container would hand out all of the login.
    """
    place = Path(describe_place(main)) if main is not None else None
    if place is not None and path.parent.resolve() == place.parent.resolve():
        raise SocketError(
            f"the token socket {path} cannot be in the folder of {place}, by which all can be done with the login: "
            "give it a folder of its own, to be mounted alone"
        )
    return TokenSocket(path, Path(paths.token_lock(os.environ, path)))


def _refuse_mounted(main: Path) -> None:
    """Raise SocketError if the folder of the main socket is one that containers are given."""
    if marks := sorted(main.parent.glob(f"*{paths.TOKEN_MARK}")):
        raise SocketError(
            f"{main} cannot be in a folder that containers are given, as {marks[0]} says: they could do all with "
            "the login; if that is no longer so, remove that file"
        )


def open_listener(place: Place) -> AbstractContextManager[trio.SocketListener]:
    """Listen for a block. Raises SocketError."""
    return open_unix_listener(place) if isinstance(place, Path) else open_inherited_listener(place)


def describe_place(place: Place | None) -> str:
    """Name it for a person."""
    if place is None:
        return "standard input"
    return str(place if isinstance(place, Path) else place.getsockname())
