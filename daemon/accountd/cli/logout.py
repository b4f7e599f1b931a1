"""`accountd logout`: revoke the login, as far as the issuer can be reached, and forget it; or forget it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.exits import OK
from accountd.cli.foreign_servers import warn_of_foreign_servers
from accountd.cli.options import add_client_options
from accountd.cli.replacing import connect_for_network
from accountd.cli.terminal import one_line, tell
from accountd.cli.waiting import waiting
from accountd.client import faults
from accountd.client.faults import find_fault

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.client.faults import Fault

_EPILOG = """\
A ChatGPT login is revoked at the issuer: it ends everywhere, also where its
auth.json was copied to. With --forget it is only deleted here, and stays good
elsewhere.

It is no error if nobody was logged in; that is said. A login that is waiting
for approval is cancelled.

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
    client, status = connect_for_network(args)
    with client:
        fault = find_fault(status)
        left = "the daemon goes on with the logout; `accountd status` says what became of it"
        with waiting("the daemon, which asks the issuer to revoke the login", goes_on=left):
            client.logout(revoke=not args.forget)
        server = client.server
    tell(_describe_end(fault, forget=args.forget))
    warn_of_foreign_servers(server)
    return OK


def _describe_end(fault: Fault | None, *, forget: bool) -> str:
    """Say what a logout has done, by what was at fault before it."""
    if fault is not None and fault.reason == faults.NOT_LOGGED_IN:
        return "Nobody was logged in."
    if fault is not None and fault.reason in faults.UNREADABLE:
        why = one_line(str(fault.words))
        return f"What was stored is deleted. It could not be read, so no login was revoked: {why}"
    done = "Logged out on this machine; the login was not revoked." if forget else "Logged out."
    return f"{done} Before, it was so: {one_line(fault.describe())}" if fault is not None else done
