"""`accountd logout`: revoke the login, as far as the issuer can be reached, and forget it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.exits import OK
from accountd.cli.options import add_client_options, connect
from accountd.cli.terminal import say

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_PATIENCE = 60.0
"""Seconds; the daemon gives the revocation ten, and the file's lock some more."""

_EPILOG = """\
It is no error if nobody was logged in. A login that is waiting for approval
is cancelled.

example:
  accountd logout
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "logout",
        help="log out, for every client on this machine",
        description="Revoke the login, and delete it from this machine.",
        epilog=_EPILOG,
    )
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Log out, and say so."""
    with connect(args) as client:
        client.call("account/logout", timeout=_PATIENCE)
    say("Logged out.")
    return OK
