"""`accountd watch`: say what happens to the account and to logins, as it happens, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from accountd.cli.account import read_account
from accountd.cli.connecting import connect, connect_again
from accountd.cli.exits import SIGNALLED
from accountd.cli.interrupts import Interrupts
from accountd.cli.options import add_account_option, add_client_options
from accountd.cli.selecting import select
from accountd.cli.watch.report import JsonReport, TextReport
from accountd.client import faults
from accountd.client.errors import CallFailed, ConnectionLost, Interrupted, NothingListens

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.cli.selecting import Selected
    from accountd.cli.watch.report import Report
    from accountd.client.blocking import Client
    from accountd.client.faults import Fault
    from accountd.client.results import AccountLoginProgress

_LONG = 3600.0
"""Seconds until a wait begins anew in which nothing was heard."""
_RETRY_DELAYS = (0.1, 5.0)
"""Seconds between two looks for a daemon that has gone, at first and at last; nobody tells of one that comes."""

_EPILOG = """\
It is about the active account, whichever that is, unless one is named, or the
folder is pinned to one.

It begins with who is logged in and which logins are under way, whoever began
them. It goes on across a restart of the daemon, which it does not start again.
Ctrl-C ends it.

With --json, each line is one object: "at" (Unix seconds), "event", and
  account       who is logged in, as `accountd status --json` says it; with
                account, if it is one that was named, or a folder's
  login         loginId, type, state, startedAt, expiresAt, retries, retryCause
  completed     loginId, success, error, reason
  connected     the daemon is there again
  disconnected  it has gone

examples:
  accountd watch
  accountd watch --json | jq -r 'select(.event == "account").email'
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "watch",
        help="say what happens to the account and to logins",
        description="Say what happens to the account and to logins, as it happens.",
        epilog=_EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object for each event")
    add_account_option(parser)
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Watch until a signal comes, and give the exit code for it."""
    report: Report = JsonReport() if args.json else TextReport()
    client = connect(args)
    with Interrupts() as interrupts:
        try:
            while True:
                try:
                    with client:
                        client.interrupt = interrupts.readable
                        _follow(client, report, select(client, args, follows=True))
                except ConnectionLost:
                    report.disconnected()
                client = _wait_for_daemon(args, interrupts)
                report.connected()
        except Interrupted:
            return SIGNALLED + interrupts.take()


def _follow(client: Client, report: Report, selected: Selected) -> None:
    """Say what is, then what comes. Raises ConnectionLost or Interrupted, sooner or later."""
    report.selected(selected)
    _tell_account(client, report, selected)
    for login in client.list_logins():
        report.progress(login["progress"])
    while True:
        match client.next_notification(_LONG):
            case ("account/login/progress", params):
                report.progress(cast("AccountLoginProgress", params))
            case ("account/login/completed", params):
                report.completed(params)
            case ("account/updated", params) if params.get("reason") is None:  # else nothing has happened
                _tell_account(client, report, selected)


def _tell_account(client: Client, report: Report, selected: Selected) -> None:
    try:
        account = read_account(client)
        fault = _find_fault(client)
    except CallFailed as error:
        report.trouble(error.message)
    else:
        report.account(account, fault, selected)


def _find_fault(client: Client) -> Fault | None:
    """Ask why the login cannot be used, where there is one."""
    try:
        fault = faults.find_fault(client.read_status())
    except CallFailed:  # of a daemon of an older version
        return None
    return fault if fault is not None and fault.reason != faults.NOT_LOGGED_IN else None


def _wait_for_daemon(args: argparse.Namespace, interrupts: Interrupts) -> Client:
    delay, longest = _RETRY_DELAYS
    while True:
        try:
            return connect_again(args)
        except (NothingListens, ConnectionLost):
            interrupts.wait(delay)
            delay = min(2 * delay, longest)
