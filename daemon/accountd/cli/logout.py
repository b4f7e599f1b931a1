"""`accountd logout`: revoke the login, as far as the issuer can be reached, and forget it; or forget it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.account import ask_objection
from accountd.cli.exits import OK
from accountd.cli.foreign_servers import warn_of_foreign_servers
from accountd.cli.options import add_client_options
from accountd.cli.replacing import connect_for_network
from accountd.cli.terminal import say

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
A ChatGPT login is revoked at the issuer: it ends everywhere, also where its
auth.json was copied to. With --forget it is only deleted here, and stays good
elsewhere.

It is no error if nobody was logged in. A login that is waiting for approval
is cancelled.

examples:
  accountd logout
  accountd logout --forget
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "logout",
        help="log out, for every client on this machine",
        description="Revoke the login, and delete it from this machine.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--forget", action="store_true", help="log out on this machine only: do not revoke the login at the issuer"
    )
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Log out, and say so."""
    with connect_for_network(args) as client:
        unused = ask_objection(client)
        client.logout(revoke=not args.forget)
        server = client.server
    say("Logged out on this machine; the login was not revoked." if args.forget else "Logged out.")
    if unused is not None:
        say(f"What was stored and not used is deleted, too: {unused}")
    warn_of_foreign_servers(server)
    return OK
