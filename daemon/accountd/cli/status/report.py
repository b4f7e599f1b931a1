"""How `accountd status` shows what it knows: a headline and rows for people, one object for programs."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from accountd.cli.account import render_headline
from accountd.cli.replacing import describe_here, find_differing
from accountd.cli.status.app_server import find_app_servers
from accountd.cli.terminal import Screen, describe_duration, fold, one_line, say
from accountd.client import faults

if TYPE_CHECKING:
    from accountd.cli.status.app_server import AppServer
    from accountd.cli.status.told import Told

_LABELS = 12
"""Columns before what they stand for."""

_UNSAFE = "the daemon uses files that other users may write to: ACCOUNTD_TRUST_UNSAFE_PATHS is set"


def print_json(told: Told) -> None:
    """Print one object."""
    daemon, fault = told.daemon, told.fault
    facts: dict[str, Any] = {
        "codexHome": told.home,
        "socket": told.socket,
        "protocolVersion": told.protocol,
        "store": told.store,
    }
    facts["account"] = told.selected.as_json()
    if fault is not None:
        facts |= {"loggedIn": False, "reason": fault.reason, "problem": fault.describe(told.selected.login)}
    if told.trouble is not None:
        facts["daemonError"] = told.trouble
    facts["appServers"] = [server.as_json() for server in _find_app_servers(told)]
    facts |= {"daemon": daemon, "environmentDiffers": find_differing(daemon) if daemon else []}
    say(json.dumps({**told.account.as_json(), **facts}))


def print_text(told: Told) -> None:
    """Print a headline, and a row for each thing that there is to say."""
    store, daemon = told.store, told.daemon
    rows = {
        "Account": told.selected.describe() if told.selected.is_told else None,
        "Plan": told.account.plan,
        "Workspace": told.account.workspace,
        "Token": _describe_expiry(told.expires_at),
        "Store": store and f"{store.get('kind')}, {store.get('location')}",
        "": store and store.get("note"),
        "CODEX_HOME": told.home,
        "Socket": told.socket,
        "Protocol": told.protocol and f"Codex {told.protocol}",
        "Daemon": "does not answer" if told.trouble is not None else daemon and _describe(daemon),
        "App-server": [line for server in _find_app_servers(told) for line in server.describe()],
        "Containers": daemon and _describe_token_socket(daemon.get("tokenSocket")),
        "Warning": daemon and daemon.get("trustsUnsafePaths") and _UNSAFE,
        "Backend": daemon and daemon.get("backendUrl"),
        "Clock": daemon and _describe_clock(daemon.get("clockAhead")),
        "Environment": _describe_environment(daemon),
    }
    _print(told, rows)


def _find_app_servers(told: Told) -> list[AppServer]:
    return [] if told.home is None else find_app_servers(told.home, (told.daemon or {}).get("appServers") or ())


def _print(told: Told, rows: dict[str, Any]) -> None:
    account, fault = told.account, told.fault
    screen = Screen.of(sys.stdout)
    style = screen.style
    if account.unneeded or (fault is not None and fault.reason == faults.NOT_LOGGED_IN):
        paint = style.yellow
    else:
        paint = style.green if fault is None else style.red
    for line in fold(render_headline(account, fault, told.selected), screen.width):
        say(style.bold(paint(line)))
    say()
    for name, value in rows.items():
        if value:
            texts = value if isinstance(value, list) else [value]
            lines = [line for text in texts for line in fold(one_line(str(text)), screen.width - _LABELS)]
            say(style.dim(f"{name:<{_LABELS}}") + f"\n{' ' * _LABELS}".join(lines))


def _describe(daemon: dict[str, Any]) -> str:
    uptime = describe_duration(float(daemon.get("uptimeSeconds") or 0))
    text = f"accountd {daemon.get('version')}, pid {daemon.get('pid')}, up {uptime}"
    installed = daemon.get("installedVersion", daemon.get("version"))
    if installed == daemon.get("version"):
        return text
    return f"{text}; {installed or 'none'} is installed now: `accountd restart`"


def _describe_expiry(expires_at: float | None) -> str | None:
    if expires_at is None:
        return None
    left = expires_at - time.time()
    return f"good for {describe_duration(left)}" if left > 0 else f"expired {describe_duration(-left)} ago"


def _describe_environment(daemon: dict[str, Any] | None) -> list[str]:
    """List what is not as usual in the daemon's environment, and then what is otherwise in this one."""
    if daemon is None:
        return [f"{name}={value} here" for name, value in describe_here().items()]
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
