"""`accountd socket`: say where the daemon listens, without asking anybody on the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.connecting import open_daemon, socket_path
from accountd.cli.exits import OK
from accountd.cli.options import add_client_options
from accountd.cli.terminal import say

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
A daemon is started if none is running; with --no-start it is an error if
there is none. Nothing is asked of it, so this is quick without a network.

example:
  accountd socket
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "socket",
        help="print the path of the daemon's socket",
        description="Print the path of the socket on which the daemon listens.",
        epilog=_EPILOG,
    )
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """See that a daemon is there, and print the path. Raises Failure if none is."""
    open_daemon(args).close()
    say(socket_path(args))
    return OK
