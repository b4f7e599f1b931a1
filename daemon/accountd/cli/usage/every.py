"""`accountd usage --all`: the limits of each account, in the order of the list, whatever is left of them."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from accountd.cli.connecting import connect
from accountd.cli.exits import ERROR, NOT_LOGGED_IN, OK, Failure
from accountd.cli.selecting import describe_who, label
from accountd.cli.terminal import Screen, fold, one_line, say
from accountd.cli.usage.facts import read_facts
from accountd.cli.usage.report import Clock, render_plain, render_report
from accountd.cli.waiting import waiting
from accountd.client import faults
from accountd.client.errors import CallFailed, CallTimedOut, ClientError
from accountd.client.faults import Fault

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from accountd.client.results import GetAccountRateLimitsResponse, ListedAccount

    Answer = GetAccountRateLimitsResponse | CallFailed | CallTimedOut


def print_all(args: argparse.Namespace) -> int:
    """Print them; the exit code is 0 if any is known. Raises Failure where there is no account."""
    with connect(args) as client:
        accounts = client.list_accounts()["accounts"]
        if not accounts:
            raise Failure(Fault(faults.NOT_LOGGED_IN).describe(), NOT_LOGGED_IN)
        with waiting("the daemon, which asks the backend for the limits of each"):
            answers = list(client.read_all_rate_limits(each["id"] for each in accounts))
    found = list(zip(accounts, answers, strict=True))
    if args.json:
        say(json.dumps({"accounts": [_render_json(account, answer) for account, answer in found]}))
    else:
        say("\n".join(_render(found)))
    return OK if any(not isinstance(answer, ClientError) for answer in answers) else ERROR


def _render_json(account: ListedAccount, answer: Answer) -> dict[str, object]:
    found: dict[str, object] = {"id": account["id"], "alias": account["alias"]}
    if isinstance(answer, ClientError):
        return {**found, "limits": None, "error": _explain(account, answer)}
    return {**found, "limits": answer, "error": None}


def _render(found: list[tuple[ListedAccount, Answer]]) -> Iterator[str]:
    """Give the lines: for a terminal below a name each, else each with the name before it."""
    clock, screen = Clock(time.time()), Screen.of(sys.stdout)
    for number, (account, answer) in enumerate(found):
        name = label(account)
        if isinstance(answer, ClientError):
            lines = [f"error {_explain(account, answer)}"]
            shown = [screen.style.red(line) for line in fold(_explain(account, answer), screen.width)]
        else:
            facts = read_facts(answer, None, clock.today())
            lines = render_plain(facts, clock)
            shown = render_report(facts, clock, screen) or ["Nothing is known of this account's limits."]
        if not screen.is_terminal:
            yield from (f"{name} {line}" for line in lines)
            continue
        if number:
            yield ""
        yield from (screen.style.bold(line) for line in fold(f"{name}: {describe_who(account)}", screen.width))
        yield from shown


def _explain(account: ListedAccount, error: ClientError) -> str:
    """Say why nothing is known, and what to do if one has to log in."""
    is_refused = isinstance(error, CallFailed) and error.reason == faults.REFUSED
    if account["needsLogin"] or is_refused:
        gone = faults.NOT_LOGGED_IN if account["state"] == "signedOut" else faults.REFUSED
        return Fault(gone).describe(f"accountd login --account {label(account)}")
    return one_line(str(error))
