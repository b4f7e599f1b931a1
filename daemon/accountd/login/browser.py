"""The browser login: the person approves in a browser of this machine, which comes back to a loopback port.

RFC 8252 with PKCE. What a request to the port means is in `oauth.callback`, what the browser is shown in
`oauth.pages`, and the port itself in `loopback`. The login ends with its commit, whatever the browser does next.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import (
    LoginCancelled,
    LoginDenied,
    LoginFailed,
    LoginTimedOut,
    PortYielded,
    RemoteError,
    StorageError,
    WorkspaceForbidden,
)
from accountd.login.flow import Granted
from accountd.login.loopback import bind_loopback, serve_loopback
from accountd.oauth import pages
from accountd.oauth.authorize import render_authorize_url
from accountd.oauth.callback import (
    CANCELLED,
    PORTS,
    Callback,
    Cancel,
    Denied,
    Failure,
    MissingCode,
    NotEntitled,
    Success,
    is_loopback,
    parse_pasted_url,
    parse_request,
    read_host,
    render_redirect_uri,
)
from accountd.oauth.pkce import make_pkce, make_state
from accountd.protocol.account import BrowserLoginStarted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import h11

    from accountd.errors import AccountdError
    from accountd.login.flow import Retrying
    from accountd.oauth.authorize import Hints
    from accountd.oauth.callback import Redirect
    from accountd.oauth.pages import Page
    from accountd.protocol.account import BrowserLogin
    from accountd.web.issuer import Issuer

LIFETIME: Final = 10 * 60.0
"""Seconds for which the person may take to approve."""

LINGER: Final = 3.0
"""Seconds after the end in which a browser may fetch the page that says how it was."""

_log = logging.getLogger(__name__)


class BrowserFlow:
    """A Flow. `open` takes a port of the loopback interface."""

    def __init__(
        self,
        issuer: Issuer,
        *,
        originator: str,
        workspaces: tuple[str, ...],
        wishes: BrowserLogin,
        hints: Hints | None = None,
        ports: tuple[int, ...] = PORTS,
    ) -> None:
        self._issuer = issuer
        self._originator = originator
        self._workspaces = workspaces
        self._wishes = wishes
        self._hints = hints
        self._ports = ports

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BrowserAttempt]:
        """See Flow.open. PortUnavailable if there is none."""
        pages.load()  # a page that cannot be read would be too late when the login ends
        async with await bind_loopback(self._ports) as listener:
            port: int = listener.socket.getsockname()[1]
            attempt = BrowserAttempt(
                self._issuer, port, self._originator, self._workspaces, self._wishes, hints=self._hints
            )
            async with serve_loopback(listener, attempt.answer):
                yield attempt
                await attempt.linger()


class BrowserAttempt:
    """An Attempt that has its port. It takes one answer of the issuer's, the first that knows its state."""

    lifetime = LIFETIME

    def __init__(
        self,
        issuer: Issuer,
        port: int,
        originator: str,
        workspaces: tuple[str, ...],
        wishes: BrowserLogin,
        *,
        hints: Hints | None = None,
    ) -> None:
        self._issuer = issuer
        self._port = port
        self._originator = originator
        self._workspaces = workspaces
        self._wishes = wishes
        self._hints = hints
        self._redirect_uri = render_redirect_uri(port)
        self._pkce = make_pkce()
        self._state = make_state()
        self._taken: Redirect | Cancel | None = None
        self._taking = trio.Event()
        self._browser_waits = False
        self._forwarded: set[str] = set()  # the names of this port elsewhere, by which the state has come
        self._ended = trio.Event()
        self._result: Page | None = None  # what failed, once it has ended
        self._seen = trio.Event()

    def started(self, login_id: str) -> BrowserLoginStarted:
        """See Attempt.started."""
        url = render_authorize_url(
            self._issuer.url,
            self._issuer.client_id,
            redirect_uri=self._redirect_uri,
            challenge=self._pkce.challenge,
            state=self._state,
            originator=self._originator,
            workspaces=self._workspaces,
            hints=self._hints,
        )
        return BrowserLoginStarted(login_id, url)

    async def answer(self, request: h11.Request) -> Page:
        """Give the page for a request to the port. For one that settles the login, that is when it has ended."""
        outcome = parse_request(
            request.method,
            request.target,
            request.headers,
            port=self._port,
            state=self._state,
            forwarded=self._forwarded,
        )
        match outcome:
            case Callback() | Denied() | MissingCode() | NotEntitled():
                self._browser_waits = True
                self._take(outcome)
                return await self._redirect(read_host(request.headers) or "")
            case Cancel():
                self._seen.set()  # somebody wants the port: no lingering
                return pages.render_cancelled() if self._take(outcome) else pages.render_not_found()
            case Success() | Failure():
                return self._show(success=isinstance(outcome, Success))
            case _:
                return pages.render_settled(outcome)

    async def _redirect(self, host: str) -> Page:
        """Wait for the end of the login, and send the browser away from the address that has the code in it."""
        is_forwarded = not (
            is_loopback(host, self._port) and host.endswith(f":{self._port}")
        )  # else by another port
        if is_forwarded:
            self._forwarded.add(host)  # which has brought the state, and may have the page as well
        await self._ended.wait()
        if self._result is None and self._wishes.use_hosted_login_success_page:
            self._seen.set()
            return pages.render_hosted_redirect(self._wishes.app_brand or "codex")
        return pages.render_redirect(None if is_forwarded else self._port, success=self._result is None)

    def _show(self, *, success: bool) -> Page:
        """Show how the login ended, if it did and if that is what is asked for."""
        if not self._ended.is_set() or success != (self._result is None):
            return pages.render_not_found()
        self._seen.set()
        return self._result or pages.render_signed_in()

    def submit_callback(self, url: str) -> None:
        """See Attempt.submit_callback."""
        self._take(parse_pasted_url(url, self._redirect_uri, self._state))

    def _take(self, outcome: Redirect | Cancel) -> bool:
        """Let the first of them count: a code is good once, and a second answer is a reload or worse."""
        if self._taken is not None:
            return False
        self._taken = outcome
        self._taking.set()
        return True

    async def wait_approval(self, retrying: Retrying) -> Callback:  # noqa: ARG002 - nothing is asked for meanwhile
        """See Attempt.wait_approval."""
        with trio.move_on_after(LIFETIME):
            await self._taking.wait()
        match self._taken:
            case Callback() as callback:
                return callback
            case None:
                raise LoginTimedOut("Login timed out")
            case Cancel():
                raise PortYielded(CANCELLED)
            case NotEntitled() | Denied(error="access_denied") as refusal:
                raise LoginDenied(refusal.message)
            case refusal:
                raise LoginFailed(refusal.message)

    async def exchange(self, approval: Callback) -> Granted:
        """See Attempt.exchange. An API key is taken where the issuer gives one, as Codex does."""
        try:
            tokens = await self._issuer.exchange_code(approval.code, self._pkce.verifier, self._redirect_uri)
        except RemoteError as error:
            raise LoginFailed(f"Token exchange failed: {error}") from error
        try:
            api_key = await self._issuer.exchange_id_token(tokens.id_token)
        except RemoteError as error:
            _log.info("logging in without an API key: %s", error)
            api_key = None
        return Granted(tokens, api_key, approval.onboarding_entrypoint)

    def conclude(self, error: AccountdError | None) -> str | None:
        """See Attempt.conclude."""
        self._result = None if error is None else self._choose_page(error)
        self._ended.set()
        match error:
            case None:
                return None
            case LoginTimedOut():
                return str(error)
            case StorageError():
                return "Login server error: Sign-in completed but credentials could not be saved locally."
            case _:
                return f"Login server error: {error}"

    def _choose_page(self, error: AccountdError) -> Page:
        match error, self._taken:
            case WorkspaceForbidden(), _:
                return pages.render_workspace_not_allowed(str(error))
            case StorageError(), _:
                return pages.render_not_saved(str(error))
            case LoginCancelled(), _:
                return pages.render_cancelled()
            case _, Denied() | MissingCode() | NotEntitled() as refusal:
                return pages.render_settled(refusal)
            case _:
                return pages.render_failed(str(error))

    async def linger(self) -> None:
        """Give a browser that is here a moment to fetch the page which says how the login ended."""
        if self._browser_waits:
            with trio.move_on_after(LINGER):
                await self._seen.wait()
