"""What a handler is given: one request, and the services that it may call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from accountd.account.reader import AccountReader
from accountd.account.refresh import Refresher
from accountd.account.routing import Routing
from accountd.account.service import AccountService
from accountd.account.usage import UsageService
from accountd.config.policy import PolicyHolder
from accountd.counters import Counters
from accountd.hub import Hub
from accountd.login.manager import LoginManager
from accountd.protocol.account import Wire
from accountd.requirements.service import RequirementsService
from accountd.server.guests import Guest
from accountd.server.server_requests import ServerRequests
from accountd.server.session import Session
from accountd.server.token_socket import TokenSocket
from accountd.web.issuer import Issuer

Reply = Callable[[Wire], None]
ParamsT = TypeVar("ParamsT")


class Call(msgspec.Struct, Generic[ParamsT], frozen=True):
    """One request on its way to its handler: who asks, what for, where the answer goes, and what to ask back.

    `guest` is what they may do if they are one, None if they may do all.
    """

    session: Session
    params: ParamsT
    reply: Reply
    server_requests: ServerRequests
    guest: Guest | None = None


class Services(msgspec.Struct, frozen=True):
    """What handlers call, and what connections hear from."""

    hub: Hub
    policy: PolicyHolder
    account: AccountService
    refresher: Refresher
    routing: Routing
    reader: AccountReader
    logins: LoginManager
    usage: UsageService
    requirements: RequirementsService
    issuer: Issuer
    counters: Counters
    environment: dict[str, str] = {}
    backend_url: str | None = None  # where it is another one than is usual
    token_socket: TokenSocket | None = None
