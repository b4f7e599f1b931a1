"""The way of the verbs that use the daemon: from their `options` to a connection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.exits import NO_DAEMON, Failure
from accountd.cli.terminal import complain
from accountd.cli.waiting import waiting
from accountd.client.blocking import Client
from accountd.client.connecting import open_connection
from accountd.client.errors import NothingListens

if TYPE_CHECKING:
    import argparse
    import socket

_PATIENCE = 10.0
"""Seconds for the daemon to accept a connection."""
_STARTING = "if a daemon has just been started, it stays; `accountd stop` ends it"


def connect(args: argparse.Namespace) -> Client:
    """Connect to the daemon of the command line, or of the environment; start it unless told not to."""
    try:
        client = _connect(args, start=not args.no_start)
    except NothingListens as error:
        raise _refuse(error) from error
    _warn_about_another_home(client)
    return client


def connect_again(args: argparse.Namespace) -> Client:
    """Connect to a daemon that has been there before, and start none. Raises NothingListens."""
    return _connect(args, start=False)


def _connect(args: argparse.Namespace, *, start: bool) -> Client:
    with waiting("a daemon to listen", goes_on=_STARTING if start else None):
        return Client(socket_path(args), name="accountd-cli", title="accountd command line", start=start)


def open_daemon(args: argparse.Namespace) -> socket.socket:
    """Open a connection that nobody has introduced themselves on yet; otherwise as `connect`."""
    try:
        with waiting("a daemon to listen", goes_on=None if args.no_start else _STARTING):
            return open_connection(socket_path(args), _PATIENCE, start=not args.no_start)
    except NothingListens as error:
        raise _refuse(error) from error


def socket_path(args: argparse.Namespace) -> str:
    """Return the socket of the command line, or of the environment."""
    if args.socket:
        return paths.read_socket(args.socket, where="--socket")
    return paths.socket_path(os.environ)


def _refuse(error: NothingListens) -> Failure:
    return Failure(f"{error}; start a daemon with `accountd serve`, or leave --no-start out", NO_DAEMON)


def _warn_about_another_home(client: Client) -> None:
    """Say so if a person who named a CODEX_HOME is about to see the account of another."""
    served = client.server.get("codexHome")
    if not os.environ.get("CODEX_HOME", "").strip() or not isinstance(served, str):
        return
    wanted = paths.codex_home(os.environ)
    if not paths.leads_to(served, wanted):
        complain(f"warning: CODEX_HOME is {wanted}, but the daemon at {client.path} owns the login of {served}")
