"""The answer to `accountd/status`: what the services know of themselves, and what has been counted."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from accountd import __version__, paths
from accountd.codex.version import CODEX_VERSION
from accountd.counters import LoginKind, RefreshOutcome
from accountd.errors import InvalidRequest, MethodNotFound, NotLoggedIn, Overloaded, ParseError, RequestFailed
from accountd.files.ownership import trusts_unsafe_paths
from accountd.installation import INSTALLATION
from accountd.protocol.account import ReadStoreResponse
from accountd.protocol.reasons import find_reason
from accountd.protocol.status import (
    AppServerStatus,
    CloseTokenSocketResponse,
    CredentialStatus,
    OpenTokenSocketParams,
    OpenTokenSocketResponse,
    RefreshStatus,
    ReportAppServerResponse,
    StatusCounters,
    StatusResponse,
    TokenSocketStatus,
)

if TYPE_CHECKING:
    from collections import Counter

    from accountd.account.account import Account
    from accountd.counters import Counters, GuestCounters
    from accountd.server.call import Call, Services
    from accountd.server.token_socket import TokenSocket
    from accountd.server.token_socket_holder import TokenSocketHolder

_CODES: Final = tuple(kind.code for kind in (ParseError, MethodNotFound, InvalidRequest, RequestFailed, Overloaded))

LONGEST_REPORT: Final = 64 << 10
"""Bytes that are kept of what one app-server says of itself."""


def accountd_status(call: Call[None]) -> None:
    """Answer how the daemon is, from memory: nothing is asked of the store or the network."""
    ahead = call.services.clock.ahead()
    counted, store = call.services.counters, call.account.describe_store()
    progress = (login.progress for login in call.services.logins.under_way())
    last = call.account.credential.last_refresh
    call.reply(
        StatusResponse(
            version=__version__,
            installed_version=INSTALLATION.find_version(),
            protocol_version=CODEX_VERSION,
            pid=os.getpid(),
            started_by=call.services.started_by,
            started_at=counted.started_at,
            uptime_seconds=round(counted.uptime(), 3),
            connections=counted.connections,
            logins=tuple(progress),
            credential=_describe_credential(call.account),
            store=ReadStoreResponse(store.kind, store.location, store.note),
            holds_only_copy=call.services.holds_only_copy,
            trusts_unsafe_paths=trusts_unsafe_paths(),
            next_refresh=call.account.refresher.next_time,
            last_refresh=None if last is None else RefreshStatus(last.outcome, last.at, last.error or None),
            environment=call.services.environment,
            backend_url=call.services.backend_url,
            clock_ahead=round(ahead) if ahead else None,
            counters=_describe_counters(counted),
            token_socket=_describe_token_socket(call.services),
            app_servers=tuple(call.services.app_servers.values()),
        )
    )


def accountd_app_server_report(call: Call[AppServerStatus]) -> None:
    """Note what an app-server says of itself, until its connection ends. Raises InvalidRequest for too much."""
    if len(msgspec.json.encode(call.params)) > LONGEST_REPORT:
        raise InvalidRequest(f"an app-server has at most {LONGEST_REPORT} bytes to say of itself")
    call.services.app_servers[call.server_requests] = call.params
    call.reply(ReportAppServerResponse())


async def accountd_token_socket_open(call: Call[OpenTokenSocketParams]) -> None:
    """Open the token socket at another place, or at all, and answer how that went."""
    path = call.params.path
    if not path.startswith("/") or not path.isprintable():
        raise InvalidRequest("the path of a token socket begins with /")
    opened = await _holder(call.services).open(Path(path))
    call.reply(OpenTokenSocketResponse(_describe_one(opened, call.services.counters.guests)))


def accountd_token_socket_close(call: Call[None]) -> None:
    """Close the token socket, if there is one."""
    _holder(call.services).close()
    call.reply(CloseTokenSocketResponse())


def _holder(services: Services) -> TokenSocketHolder:
    if services.token_sockets is None:
        raise InvalidRequest("this server opens no sockets")
    return services.token_sockets


def _describe_credential(account: Account) -> CredentialStatus:
    credential, fault = account.credential, account.reader.find_fault()
    record, login = credential.current, credential.login
    return CredentialStatus(
        mode=record.mode if record is not None else None,
        needs_login=login is not None and credential.find_refusal(login) is not None,
        expires_at=login.expires_at if login is not None else None,
        reason=None if fault is None else find_reason(fault),
        unused_because=None if fault is None or isinstance(fault, NotLoggedIn) else str(fault),
        workspace_error=None if login is None else account.routing.find_trouble(login, math.inf),
    )


def _describe_token_socket(services: Services) -> TokenSocketStatus | None:
    token_socket = services.token_sockets.current if services.token_sockets is not None else None
    return None if token_socket is None else _describe_one(token_socket, services.counters.guests)


def _describe_one(token_socket: TokenSocket, guests: GuestCounters) -> TokenSocketStatus:
    return TokenSocketStatus(
        path=paths.tell(token_socket.path),
        trouble=token_socket.find_trouble(),
        connections=guests.connections,
        connections_refused=guests.connections_refused,
        tokens_handed_out=guests.tokens_handed_out,
        tokens_refused=guests.tokens_refused,
        refreshes_made=guests.refreshes_made,
        refreshes_withheld=guests.refreshes_withheld,
    )


def _describe_counters(counted: Counters) -> StatusCounters:
    """Copy the counts, with a nought for what has not happened: who watches a number wants to see it begin."""
    refused = {str(code): counted.requests_refused[code] for code in {*_CODES, *counted.requests_refused}}
    return StatusCounters(
        connections_accepted=counted.connections_accepted,
        connections_refused=counted.connections_refused,
        clients_cut=counted.clients_cut,
        requests_answered=counted.requests_answered,
        requests_refused=dict(sorted(refused.items())),
        logins_started=_by(LoginKind, counted.logins_started),
        logins_completed=_by(LoginKind, counted.logins_completed),
        logins_failed=_by(LoginKind, counted.logins_failed),
        logins_cancelled=_by(LoginKind, counted.logins_cancelled),
        refreshes=_by(RefreshOutcome, counted.refreshes),
        tokens_handed_out=counted.tokens_handed_out,
        notifications_sent=counted.notifications_sent,
    )


def _by(kinds: object, counts: Counter[Any]) -> dict[Any, int]:
    return {kind: counts[kind] for kind in get_args(kinds)}
