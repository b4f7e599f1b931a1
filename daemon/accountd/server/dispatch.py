"""From a request to its answer: which method, may this client call it now, and what is said if it fails.

The order of the gates is Codex's: a request that is malformed is told so even before `initialize`.
"""

from __future__ import annotations

import itertools
import logging
import os
from typing import TYPE_CHECKING

import msgspec

from accountd import paths
from accountd.codex import user_agent
from accountd.codex.methods import is_of_the_agent, render_refusal
from accountd.errors import InvalidRequest, MethodNotFound, RequestError, RequestFailed
from accountd.foreign_json import UNDECODABLE
from accountd.logs import bind_fields
from accountd.protocol.account import InitializeResponse, OfAccount
from accountd.protocol.accounts import SelectAccountParams
from accountd.protocol.jsonrpc import render_error, render_result
from accountd.protocol.methods import METHODS, experimental_reason, find_method, parse_besides, parse_params
from accountd.server.call import Call
from accountd.server.handlers import HANDLERS
from accountd.server.overload import overloaded
from accountd.server.selection import Selection
from accountd.server.session import open_session
from accountd.unforeseen import report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from msgspec import UnsetType

    from accountd.config.settings import Config
    from accountd.protocol.account import InitializeParams, Wire
    from accountd.protocol.jsonrpc import Request, RequestId
    from accountd.server.call import Services
    from accountd.server.door import Door
    from accountd.server.guests import Guest
    from accountd.server.server_requests import ServerRequests
    from accountd.server.session import Session

_log = logging.getLogger(__name__)


class _Prelude(msgspec.Struct):
    accountd: SelectAccountParams


class Dispatcher:
    """One connection's requests. `session` is None until `initialize` has been answered.

    `door` is where the connection came in, `guest` what it may do there if it is one's. `offer` says whether an
    answer could be queued, in whose place an error is sent otherwise. `greet` is called when `initialize` has been.
    """

    def __init__(
        self,
        services: Services,
        config: Config,
        server_requests: ServerRequests,
        *,
        door: Door,
        guest: Guest | None,
        offer: Callable[[bytes], bool],
        send: Callable[[bytes], None],
        greet: Callable[[], None],
    ) -> None:
        self.session: Session | None = None
        self.selection = Selection(services.accounts)
        self._methods = door.methods
        self._guest = guest
        self._numbers = itertools.count(1)
        self._server_requests = server_requests
        self._services = services
        self._config = config
        self._offer = offer
        self._send = send
        self._greet = greet

    @property
    def has_extension(self) -> bool:
        """Return True if the client has declared the accountd extension."""
        return self.session is not None and self.session.extension

    def begin(self, request: Request) -> Awaitable[None] | None:
        """Call the method. Either the answer has been sent, or what is given back must be awaited for it.

        Nothing is raised, but by awaiting: a cancellation, after which no answer is sent.
        """
        under_way = self._describe(request)
        with bind_fields(**under_way):
            try:
                rest = self._call(request)
            except Exception as error:  # noqa: BLE001 - a bug fails its request, not the daemon
                self.refuse(request.method, request.id, error)
                return None
        # Not the request itself: its params have been decoded, and may be large.
        return None if rest is None else self._finish(request.method, request.id, rest, under_way)

    async def _finish(
        self, method: str, request_id: RequestId | UnsetType, rest: Awaitable[None], under_way: dict[str, object]
    ) -> None:
        with bind_fields(**under_way):
            try:
                await rest
            except Exception as error:  # noqa: BLE001 - a bug fails its request, not the daemon
                self.refuse(method, request_id, error)

    def _describe(self, request: Request) -> dict[str, object]:
        """Give a request a number for the logs: its own id is a text of the client's, which may be anything."""
        if not isinstance(request.id, (int, str)):
            return {}  # a notification
        client = {"client": self.session.client} if self.session is not None else {}
        return {"request": next(self._numbers), **client}

    def refuse(self, method: str, request_id: RequestId | UnsetType, error: Exception) -> None:
        """Answer a request with an error. One that was not foreseen is logged, and the client told little of it."""
        if not isinstance(error, RequestError):
            error = RequestFailed(report(_log, _name(method), error))
        else:
            # Not the text: it may quote what the client sent, and a client may send a token in a wrong place.
            _log.info("%s was refused (%d)", _name(method), error.code)
        if isinstance(request_id, (int, str)):
            self._services.counters.requests_refused[error.code] += 1
            self._send(render_error(request_id, error, extension=self.has_extension))

    def _call(self, request: Request) -> Awaitable[None] | None:
        """Pass the gates and call the handler. A notification, which has no id, calls nothing."""
        name, request_id = request.method, request.id
        if not isinstance(request_id, (int, str)):
            return None
        if name not in METHODS and is_of_the_agent(name):
            if self.session is None:  # of which Codex would speak first
                raise InvalidRequest("Not initialized")
            raise MethodNotFound(render_refusal(name))
        method = find_method(name, extension=self.has_extension)
        if self._methods is not None and name not in self._methods:
            where = f"the login is on {os.uname().nodename}"
            raise InvalidRequest(f"{name} is not available on this socket, which hands out tokens alone; {where}")
        params = parse_params(name, request.params)

        def reply(result: Wire) -> None:
            if self._offer(render_result(request_id, result)):
                self._services.counters.requests_answered += 1
            else:
                self.refuse(name, request_id, overloaded())

        if method.before_initialize:
            self._initialize(params, reply)
            return None
        if self.session is None:
            raise InvalidRequest("Not initialized")
        reason = experimental_reason(name, params)
        if reason is not None and not self.session.experimental:
            raise InvalidRequest(f"{reason} requires experimentalApi capability")
        besides = parse_besides(name, request.params) if self.session.extension else None
        named = besides.account if isinstance(besides, OfAccount) else None
        meant = self.selection if named is None else self._select_once(named)
        call = Call(
            self.session,
            params,
            reply,
            self._server_requests,
            self._services,
            meant.account,
            self.selection,
            self._guest,
            besides,
        )
        rest = HANDLERS[name](call)
        return rest if named is None or rest is None else _with(meant, rest)

    def _select_once(self, name: str) -> Selection:
        """Mean an account for one request. Raises NoSuchAccount, or AmbiguousAccount."""
        if self.selection.is_fixed:
            raise InvalidRequest("this socket is for one account")
        return Selection(self._services.accounts, self._services.accounts.select(name, once=True))

    def take_prelude(self, line: bytes) -> bytes:
        """Mean the account that a bridge names for its client. Return the line that answers it."""
        try:
            if self.selection.is_fixed or self._methods is not None:
                raise InvalidRequest("this socket is for one account")
            try:
                wanted = msgspec.json.decode(line, type=_Prelude).accountd.account
            except UNDECODABLE:
                raise InvalidRequest("Invalid request: the line of a bridge names no account") from None
            self.selection.select(self._services.accounts.select(wanted or ""))
        except RequestError as error:
            return render_error(None, error, extension=True) + b"\n"
        return msgspec.json.encode({"accountd": {"selectedId": self.selection.account_id}}) + b"\n"

    def _initialize(self, params: InitializeParams, reply: Callable[[Wire], None]) -> None:
        if self.session is not None:
            raise InvalidRequest("Already initialized")
        session = open_session(params, self._config.originator)
        if session.account is not None and not self.selection.is_fixed:
            self.selection.select(self._services.accounts.select(session.account))
        reply(
            InitializeResponse(
                user_agent=session.user_agent,
                codex_home=paths.tell(self._config.codex_home),
                platform_family="unix",
                platform_os=user_agent.platform_os(),
            )
        )
        self.session = session
        self._greet()


async def _with(selection: Selection, rest: Awaitable[None]) -> None:
    """Mean an account for as long as a request takes."""
    try:
        await rest
    finally:
        selection.close()


def _name(method: str) -> str:
    """Name a method in the log, if it is one of ours; else it is a text of the client's, and may be a token."""
    return repr(method) if method in METHODS else "unknown method"
