"""What a handler is given: one request, with the account that it is about and the services that it may call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from accountd.account.account import Account
from accountd.accounts.accounts import Accounts
from accountd.config.policy import PolicyHolder
from accountd.counters import Counters
from accountd.hub import Hub
from accountd.login.manager import LoginManager
from accountd.protocol.account import Wire
from accountd.protocol.status import AppServerStatus, StartedBy
from accountd.server.guests import Guest
from accountd.server.selection import Selection
from accountd.server.server_requests import ServerRequests
from accountd.server.session import Session
from accountd.server.token_socket_holder import TokenSocketHolder
from accountd.system.clock import Clock
from accountd.web.issuer import Issuer

Reply = Callable[[Wire], None]
ParamsT = TypeVar("ParamsT")


class Call(msgspec.Struct, Generic[ParamsT], frozen=True):
    """One request on its way to its handler: who asks, what for, where the answer goes, and what to ask back.

    `account` is the one that is meant, by the request or else by the connection's `selection`; at its next request
    it may be another. `besides` is what a client of ours has said besides the params. `guest` is what they
    may do if they are one, None if they may do all.
    """

    session: Session
    params: ParamsT
    reply: Reply
    server_requests: ServerRequests
    services: Services
    account: Account
    selection: Selection
    guest: Guest | None = None
    besides: Any = None


class Services(msgspec.Struct, frozen=True):
    """What handlers call, and what connections hear from.

    `app_servers` are what some connections have said of themselves, each by what is asked back on it.
    """

    hub: Hub
    policy: PolicyHolder
    accounts: Accounts
    logins: LoginManager
    issuer: Issuer
    counters: Counters
    clock: Clock
    codex_home: Path
    environment: dict[str, str] = {}
    backend_url: str | None = None  # where it is another one than is usual
    token_sockets: TokenSocketHolder | None = None
    started_by: StartedBy = "person"
    app_servers: dict[ServerRequests, AppServerStatus] = {}

    @property
    def holds_only_copy(self) -> bool:
        """Whether something would end with the daemon: it is in its memory alone."""
        return not all(account.outlasts_the_daemon for account in self.accounts)
