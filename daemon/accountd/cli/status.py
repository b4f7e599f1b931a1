"""`accountd status`: who is logged in, and which daemon says so."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from accountd.cli.account import Account, read_account
from accountd.cli.connecting import connect
from accountd.cli.exits import NEEDS_LOGIN, NOT_LOGGED_IN, OK
from accountd.cli.options import add_client_options
from accountd.cli.terminal import Screen, fold, one_line, say
from accountd.client.errors import CallFailed

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.client.blocking import Client

_LABELS = 12
"""Columns before what they stand for."""

_EPILOG = """\
Exits with 0 if somebody is logged in, with 3 if nobody is, and with 4 if a
login is stored that is no longer accepted: needsLogin, with --json.

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
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the status; the exit code says whether somebody is logged in."""
    with connect(args) as client:
        account = read_account(client)
        home = client.server.get("codexHome")
        # `NAME/0.169.0 (…)`: clients of Codex take the version from there too (protocol note 0.19).
        version = re.match(r"[^/]*/(\S+)", str(client.server.get("userAgent")))
        protocol = version[1] if version else None
        store = _read_store(client)
    if args.json:
        daemon = {"codexHome": home, "socket": str(client.path), "protocolVersion": protocol, "store": store}
        say(json.dumps({**account.as_json(), **daemon}))
    else:
        rows = {
            "Plan": account.plan,
            "Workspace": account.workspace,
            "Store": store and f"{store.get('kind')}, {store.get('location')}",
            "": store and store.get("note"),
            "CODEX_HOME": home,
            "Socket": str(client.path),
            "Protocol": protocol and f"Codex {protocol}",
        }
        _print(account, rows)
    if account.stale:
        return NEEDS_LOGIN
    return OK if account.mode else NOT_LOGGED_IN


def _print(account: Account, rows: dict[str, Any]) -> None:
    screen = Screen.of(sys.stdout)
    style = screen.style
    headline, paint = account.headline(), style.green
    if not account.mode:
        headline += f" Log in{' again' if account.stale else ''} with `accountd login`."
        paint = style.red if account.stale else style.yellow
    for line in fold(headline, screen.width):
        say(style.bold(paint(line)))
    say()
    for name, value in rows.items():
        if value:
            lines = fold(one_line(str(value)), screen.width - _LABELS)
            say(style.dim(f"{name:<{_LABELS}}") + f"\n{' ' * _LABELS}".join(lines))


def _read_store(client: Client) -> dict[str, Any] | None:
    """Ask which store holds the credential; None of a daemon that cannot tell, as one of an older version."""
    try:
        return client.call("account/store/read", {})
    except CallFailed:
        return None
