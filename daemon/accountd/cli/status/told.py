"""What `accountd status` knows of an account and its daemon: what that says, and else what is stored."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from accountd import paths
from accountd.cli.account import Account, find_fault, read_account
from accountd.cli.exits import Failure
from accountd.cli.selecting import Selected, Wish
from accountd.cli.waiting import waiting
from accountd.client import faults
from accountd.client.errors import CallFailed, CallTimedOut
from accountd.client.faults import Fault
from accountd.errors import AccountdError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accountd.cli.status.stored import Stored
    from accountd.client.blocking import Client

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds for whom the daemon asks about the account; then what is known without them is told."""


class Told(NamedTuple):
    """What is known of an account and of its daemon; `trouble` is why the daemon has not said it."""

    account: Account
    fault: Fault | None
    selected: Selected
    socket: str
    home: str | None
    store: Mapping[str, Any] | None
    daemon: dict[str, Any] | None = None
    protocol: str | None = None
    expires_at: float | None = None
    trouble: str | None = None


def ask_daemon(client: Client, selected: Selected) -> Told:
    """Ask a daemon for all of it, and wait a while for whom that has to ask. Raises what Client raises."""
    home = client.server.get("codexHome")
    home = home if isinstance(home, str) else None
    # `NAME/0.171.0 (…)`: clients of Codex take the version from there too.
    version = re.match(r"[^/]*/(\S+)", str(client.server.get("userAgent")))
    store = ask(client.read_store)
    try:
        with waiting("the daemon, which asks the issuer for a new token, or the backend for the workspace"):
            account = read_account(client, PATIENCE)
    except CallTimedOut:
        account = None
    daemon = ask(client.read_status)
    credential = (daemon or {}).get("credential") or {}
    expires_at, fault = credential.get("expiresAt"), faults.find_fault(daemon)
    if account is None:
        account = Account(credential.get("mode"), trouble=f"no answer within {PATIENCE:g} s")
        if fault is None and expires_at is not None and expires_at <= time.time():
            fault = Fault(faults.UNREACHABLE, account.trouble)
    account = account._replace(trouble=account.trouble or credential.get("workspaceError"))
    if account.trouble and not account.email and account.mode == "chatgpt" and selected.account is not None:
        account = account._replace(email=selected.account["email"], plan=selected.account["planType"])
    elif account.trouble and not account.email and account.mode == "chatgpt" and home is not None:
        with suppress(AccountdError):  # then less is known
            found = _read_stored(home).account
            account = account._replace(email=found.email, plan=found.plan)
    fault = fault or find_fault(account, daemon)
    protocol = version[1] if version else None
    return Told(account, fault, selected, str(client.path), home, store, daemon, protocol, expires_at)


def look_at_store(socket: str, trouble: str) -> Told:
    """Find out what is known without the daemon. Raises Failure, with its trouble, where nothing is."""
    home = paths.codex_home(os.environ)
    try:
        found = _read_stored(home)
    except AccountdError as error:
        raise Failure(f"{trouble}; {error}") from error
    whose, store, expires_at = Selected(Wish("active")), found.store, found.expires_at
    return Told(found.account, found.fault, whose, socket, home, store, expires_at=expires_at, trouble=trouble)


def _read_stored(home: str) -> Stored:
    from accountd.cli.status.stored import read_stored  # for want of an answer alone

    return read_stored(home)


def ask(read: Callable[[], T]) -> T | None:
    """Ask for something of ours; None of a daemon that cannot tell, as one of an older version."""
    try:
        return read()
    except CallFailed:
        return None
