"""`accountd usage`: how much of the rate limits is used, and when they begin anew."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from accountd.cli.account import explain_failure
from accountd.cli.connecting import connect
from accountd.cli.exits import OK
from accountd.cli.options import add_account_option, add_client_options
from accountd.cli.selecting import select
from accountd.cli.terminal import Screen, fold, say
from accountd.cli.waiting import waiting
from accountd.client.errors import CallFailed, CallTimedOut

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.cli.selecting import Selected
    from accountd.client.blocking import Client
    from accountd.client.results import GetAccountRateLimitsResponse, GetAccountTokenUsageResponse

_EPILOG = """\
On a terminal there is a bar for each window of each limit. Elsewhere there is
a line for each, with the time in ISO 8601:

  codex primary 42% used, window 300 min, resets 2026-11-22T18:00:00+01:00

With --json, one object has the results of two requests as they are: limits,
of account/rateLimits/read, and usage, of account/usage/read. If the second
fails, usage is null, and usageError says why. Where there are several accounts,
account says which it is of, with id, alias and because.

With --all, each account is asked, and one that fails does not fail the others.
With --json that is one object, with accounts: id, alias, limits and error, of
which one is null. This exits with 0 if any has answered.

Exits with 0 if this is known, with 1 if not, as of an API key; with 3 if
nobody is logged in, with 4 if the login is no longer accepted, and with 7 if
it cannot be read.

examples:
  accountd usage
  accountd usage --account work
  accountd usage --json | jq .limits.rateLimits.primary.usedPercent
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "usage",
        help="show how much of the rate limits is used",
        description="Show how much of the rate limits is used, and when they reset.",
        epilog=_EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    whose = parser.add_mutually_exclusive_group()
    add_account_option(whose)
    whose.add_argument("--all", action="store_true", help="of every account, in the order of `accountd accounts`")
    add_client_options(parser)
    parser.set_defaults(run=run, asks_network=True)


def run(args: argparse.Namespace) -> int:
    """Print what is used. Raises Failure with a code of its own if one has to log in first."""
    if args.all:
        from accountd.cli.usage.every import print_all  # for --all alone

        return print_all(args)
    with connect(args) as client:
        selected = select(client, args)
        try:
            with waiting("the daemon, which asks the backend for the limits"):
                limits = client.read_rate_limits()
        except CallFailed as error:
            raise explain_failure(client, error, selected) from error
        with waiting("the daemon, which asks the backend for the tokens used"):
            usage, trouble = _read_usage(client)
    if args.json:
        whose = {"account": selected.as_json()} if selected.is_told else {}
        say(json.dumps({"limits": limits, "usage": usage, "usageError": trouble, **whose}))
    else:
        _print(limits, usage, selected)
    return OK


def _read_usage(client: Client) -> tuple[GetAccountTokenUsageResponse | None, str | None]:
    """Ask for what is nice to know: the result, or why there is none."""
    try:
        return client.read_usage(), None
    except (CallFailed, CallTimedOut) as error:
        return None, str(error)


def _print(
    limits: GetAccountRateLimitsResponse, usage: GetAccountTokenUsageResponse | None, selected: Selected
) -> None:
    from accountd.cli.usage.facts import read_facts  # --help and --json need none of this
    from accountd.cli.usage.report import Clock, render_plain, render_report  # as above

    clock, screen = Clock(time.time()), Screen.of(sys.stdout)
    facts = read_facts(limits, usage, clock.today())
    lines = render_report(facts, clock, screen) if screen.is_terminal else render_plain(facts, clock)
    lines = lines or ["Nothing is known of this account's limits."]
    if selected.is_told:
        title = f"Account {selected.describe()}" if screen.is_terminal else f"account {selected.describe()}"
        lines = [*fold(title, screen.width), *([""] if screen.is_terminal else []), *lines]
    say("\n".join(lines))
