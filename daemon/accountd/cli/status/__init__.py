"""`accountd status`: who is logged in, and which daemon says so."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from accountd.cli.account import Account, choose_exit, find_fault, read_account, render_headline
from accountd.cli.connecting import connect
from accountd.cli.exits import NOT_LOGGED_IN, OK, Failure
from accountd.cli.options import add_client_options
from accountd.cli.replacing import find_differing
from accountd.cli.status.app_server import find_app_servers
from accountd.cli.terminal import Screen, describe_duration, fold, one_line, say
from accountd.cli.waiting import waiting
from accountd.client import faults
from accountd.client.errors import CallFailed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from accountd.cli.parsing import Subparsers
    from accountd.client.blocking import Client
    from accountd.client.faults import Fault

T = TypeVar("T")

_LABELS = 12
"""Columns before what they stand for."""

_UNSAFE = "the daemon uses files that other users may write to: ACCOUNTD_TRUST_UNSAFE_PATHS is set"

_FORMATS = ("text", "json", "prometheus")

_EPILOG = """\
Exits with 0 if somebody is logged in, with 3 if nobody is, with 4 if a login
is stored that is no longer accepted (needsLogin, with --json), with 6 if what
is stored cannot be read, and with 1 if its token has expired and cannot be
refreshed for now. With --json, `reason` has a word for each of these. With
--format prometheus it is 0 in each of these cases.

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
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the status; the exit code says whether somebody is logged in."""
    with connect(args) as client:
        if args.format == "prometheus":
            return _print_metrics(client)
        with waiting("the daemon, which asks the issuer for a new token, or the backend for the workspace"):
            account = read_account(client)
        home = client.server.get("codexHome")
        # `NAME/0.171.0 (…)`: clients of Codex take the version from there too.
        version = re.match(r"[^/]*/(\S+)", str(client.server.get("userAgent")))
        protocol = version[1] if version else None
        store, daemon = _ask(client.read_store), _ask(client.read_status)
    fault = find_fault(account, daemon)
    credential = (daemon or {}).get("credential") or {}
    account = account._replace(trouble=account.trouble or credential.get("workspaceError"))
    app_servers = find_app_servers(home, (daemon or {}).get("appServers") or ()) if isinstance(home, str) else []
    if args.format == "json":
        facts = {"codexHome": home, "socket": str(client.path), "protocolVersion": protocol, "store": store}
        if fault is not None:
            facts |= {"loggedIn": False, "reason": fault.reason, "problem": fault.describe()}
        facts["appServers"] = [server.as_json() for server in app_servers]
        facts |= {"daemon": daemon, "environmentDiffers": find_differing(daemon) if daemon else []}
        say(json.dumps({**account.as_json(), **facts}))
    else:
        rows = {
            "Plan": account.plan,
            "Workspace": account.workspace,
            "Store": store and f"{store.get('kind')}, {store.get('location')}",
            "": store and store.get("note"),
            "CODEX_HOME": home,
            "Socket": str(client.path),
            "Protocol": protocol and f"Codex {protocol}",
            "Daemon": daemon and _describe(daemon),
            "App-server": [line for server in app_servers for line in server.describe()],
            "Containers": daemon and _describe_token_socket(daemon.get("tokenSocket")),
            "Warning": daemon and daemon.get("trustsUnsafePaths") and _UNSAFE,
            "Backend": daemon and daemon.get("backendUrl"),
            "Clock": daemon and _describe_clock(daemon.get("clockAhead")),
            "Environment": daemon and _describe_environment(daemon),
        }
        _print(account, fault, rows)
    if fault is not None:
        return choose_exit(fault)
    return OK if account.mode else NOT_LOGGED_IN


def _print(account: Account, fault: Fault | None, rows: dict[str, Any]) -> None:
    screen = Screen.of(sys.stdout)
    style = screen.style
    if account.unneeded or (fault is not None and fault.reason == faults.NOT_LOGGED_IN):
        paint = style.yellow
    else:
        paint = style.green if fault is None else style.red
    for line in fold(render_headline(account, fault), screen.width):
        say(style.bold(paint(line)))
    say()
    for name, value in rows.items():
        if value:
            texts = value if isinstance(value, list) else [value]
            lines = [line for text in texts for line in fold(one_line(str(text)), screen.width - _LABELS)]
            say(style.dim(f"{name:<{_LABELS}}") + f"\n{' ' * _LABELS}".join(lines))


def _print_metrics(client: Client) -> int:
    from accountd.cli.status.prometheus import render_metrics  # which the other forms have no use for

    daemon = _ask(client.read_status)
    if daemon is None:
        raise Failure(f"the daemon at {client.path} counts nothing: it is of an older version")
    say(render_metrics(daemon).rstrip("\n"))
    return OK


def _describe(daemon: dict[str, Any]) -> str:
    uptime = describe_duration(float(daemon.get("uptimeSeconds") or 0))
    text = f"accountd {daemon.get('version')}, pid {daemon.get('pid')}, up {uptime}"
    installed = daemon.get("installedVersion", daemon.get("version"))
    if installed == daemon.get("version"):
        return text
    return f"{text}; {installed or 'none'} is installed now: `accountd restart`"


def _describe_environment(daemon: dict[str, Any]) -> list[str]:
    """List what is not as usual in the daemon's environment, and then what is otherwise in this one."""
    told = [f"{name}={value}" for name, value in (daemon.get("environment") or {}).items()]
    differing = find_differing(daemon)
    if not differing:
        return told
    advice = f"another {' and '.join(differing)} here: `accountd restart` has the daemon take it"
    return [*(told or ["nothing unusual"]), advice]


def _describe_clock(ahead: float | None) -> str | None:
    if not ahead:
        return None
    return f"{describe_duration(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}; tokens go by the issuer's"


def _describe_token_socket(token_socket: dict[str, Any] | None) -> str | None:
    if token_socket is None:
        return None
    if trouble := token_socket.get("trouble"):
        return f"cannot connect: {trouble}"
    connections, tokens = token_socket.get("connections"), token_socket.get("tokensHandedOut")
    return f"{connections} connected at {token_socket.get('path')}, {tokens} tokens handed out"


def _ask(read: Callable[[], T]) -> T | None:
    """Ask for something of ours; None of a daemon that cannot tell, as one of an older version."""
    try:
        return read()
    except CallFailed:
        return None
