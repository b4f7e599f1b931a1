"""`accountd logout`: revoke the login, as far as the issuer can be reached, and forget it; or forget it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.exits import ERROR, OK
from accountd.cli.foreign_servers import warn_of_foreign_servers
from accountd.cli.options import add_account_option, add_client_options
from accountd.cli.replacing import connect_for_network
from accountd.cli.selecting import describe_who, label, read_accounts, select
from accountd.cli.terminal import complain, one_line, tell
from accountd.cli.waiting import waiting
from accountd.client import faults
from accountd.client.errors import CallFailed, CallTimedOut
from accountd.client.faults import find_fault

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.cli.selecting import Selected
    from accountd.client.faults import Fault

_EPILOG = """\
A ChatGPT login is revoked at the issuer: it ends everywhere, also where its
auth.json was copied to. With --forget it is only deleted here, and stays good
elsewhere.

It is the active account unless another one is named, by --account or by
$ACCOUNTD_ACCOUNT; a pinned folder makes no difference here. No other account
takes its place: nobody is active until the next login, or `accountd switch`.

It is no error if nobody was logged in; that is said. A login that is waiting
for approval is cancelled.

examples:
  accountd logout
  accountd logout --forget
  accountd logout --account work
"""

_REVOKING = "the daemon, which asks the issuer to revoke the login"
_GOES_ON = "the daemon goes on with the logout; `accountd status` says what became of it"


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
    whose = parser.add_mutually_exclusive_group()
    add_account_option(whose, by_folder=False)
    whose.add_argument("--all", action="store_true", help="log every account out, and forget it")
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Log out, and say so."""
    if args.all:
        return _log_all_out(args)
    client, status = connect_for_network(args)
    with client:
        selected = select(client, args, by_folder=False)
        if selected.is_told:
            status = client.read_status()  # of that account
        fault = find_fault(status)
        with waiting(_REVOKING, goes_on=_GOES_ON):
            client.logout(revoke=not args.forget)
        server = client.server
    tell(_describe_end(fault, selected, forget=args.forget))
    if not selected.is_active:
        return OK
    if others := selected.others():
        tell(f"No other account takes its place; `accountd switch NAME` has one of these in use: {others}.")
    warn_of_foreign_servers(server)
    return OK


def _log_all_out(args: argparse.Namespace) -> int:
    """Log out of every account, whatever becomes of the others, and last of the active one."""
    client, _ = connect_for_network(args)
    failed = False
    with client:
        accounts, _ = read_accounts(client)
        for account in sorted(accounts, key=lambda each: each["state"] == "active"):
            try:
                with waiting(_REVOKING, goes_on=_GOES_ON):
                    if account["state"] == "signedOut":
                        client.remove_account(account["id"])
                    else:
                        client.logout(revoke=not args.forget, account=account["id"])
            except (CallFailed, CallTimedOut) as error:
                failed = True
                complain(f"{label(account)}: {error}")
            else:
                done = "Logged out on this machine" if args.forget else "Logged out"
                tell(f"{done}: {describe_who(account)}, `{label(account)}`.")
        if not any(account["state"] == "active" for account in accounts):
            client.logout(revoke=not args.forget)  # nobody: but a login that waits for approval is cancelled
        server = client.server
    if not accounts:
        tell("Nobody was logged in.")
    warn_of_foreign_servers(server)
    return ERROR if failed else OK


def _describe_end(fault: Fault | None, selected: Selected, *, forget: bool) -> str:
    """Say what a logout has done, by what was at fault before it, and to whom."""
    account = selected.account if selected.is_told else None
    if fault is not None and fault.reason == faults.NOT_LOGGED_IN:
        if account is None:
            return "Nobody was logged in."
        return f"{selected.describe()} was not logged in; `accountd accounts remove {label(account)}` forgets it."
    whose = f" It was {describe_who(account)}, {selected.describe()}." if account is not None else ""
    if fault is not None and fault.reason in faults.UNREADABLE:
        why = one_line(str(fault.words))
        return f"What was stored is deleted. It could not be read, so no login was revoked: {why}{whose}"
    done = "Logged out on this machine; the login was not revoked." if forget else "Logged out."
    before = f" Before, it was so: {one_line(fault.describe(selected.login))}" if fault is not None else ""
    return f"{done}{whose}{before}"
