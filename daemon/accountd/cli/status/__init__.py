"""`accountd status`: who is logged in, and which daemon says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.account import choose_exit
from accountd.cli.connecting import connect, socket_path
from accountd.cli.exits import NOT_LOGGED_IN, OK, Failure
from accountd.cli.options import add_account_option, add_client_options
from accountd.cli.selecting import is_named, select
from accountd.cli.status.report import print_json, print_text
from accountd.cli.status.told import ask, ask_daemon, look_at_store
from accountd.cli.terminal import say
from accountd.client.errors import CallTimedOut

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.client.blocking import Client

_FORMATS = ("text", "json", "prometheus")

_EPILOG = """\
Exits with 0 if somebody is logged in, with 3 if nobody is, with 4 if a login
is stored that is no longer accepted (needsLogin, with --json), with 7 if what
is stored cannot be read, and with 1 if its token has expired and cannot be
refreshed for now. With --json, `reason` has a word for each of these. With
--format prometheus it is 0 in each of these cases.

What the issuer or the backend does not answer within 10 s is not waited for:
what is known without them is told. So it is where the daemon does not answer,
from what is stored; then this exits with 1 (daemonError, with --json).

With --json, `daemon` is how the daemon is: since when it runs, what it has
counted, when it will refresh the token. The same is in the text exposition
format of Prometheus with --format prometheus, such as for the node exporter's
collector of text files. No port is opened for it.

example:
  accountd status --json | jq -r .email
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "status",
        help="say who is logged in",
        description="Say who is logged in and how, and which daemon it is that says so.",
        epilog=_EPILOG,
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format", choices=_FORMATS, default="text", help="for people, for programs, or for Prometheus"
    )
    form.add_argument(
        "--json", dest="format", action="store_const", const="json", help="print one JSON object instead"
    )
    add_account_option(parser)
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the status; the exit code says whether somebody is logged in."""
    if args.format == "prometheus":
        with connect(args) as client:
            select(client, args)
            return _print_metrics(client)
    selected = None
    try:
        with connect(args) as client:
            selected = select(client, args)
            told = ask_daemon(client, selected)
    except CallTimedOut as error:
        if is_named(args) or not (selected is None or selected.is_active):
            raise  # what is read then is the active account's
        told = look_at_store(socket_path(args), str(error))
    (print_json if args.format == "json" else print_text)(told)
    if told.trouble is not None:
        raise Failure(f"{told.trouble}; `accountd doctor` says more")
    if told.fault is not None:
        return choose_exit(told.fault)
    return OK if told.account.mode else NOT_LOGGED_IN


def _print_metrics(client: Client) -> int:
    from accountd.cli.status.prometheus import render_metrics  # which the other forms have no use for

    daemon = ask(client.read_status)
    if daemon is None:
        raise Failure(f"the daemon at {client.path} counts nothing: it is of an older version")
    say(render_metrics(daemon).rstrip("\n"))
    return OK
