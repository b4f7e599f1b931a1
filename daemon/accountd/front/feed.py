"""The feed: the agent has the login that the daemon has, and has it before anybody hears of it.

**The barrier.** A change of the account is stored by the daemon, then given to the agent, and only then told to
a client: `sync` comes before `account/updated`, `account/login/completed` and the answers to what may have
changed it. A turn that is started right after them would otherwise be sent to the model without credentials.
While the agent is being given a login, requests to it wait.

**What is given** is one value, and is compared before it is given again. So `sync` may be called by everybody who
has heard of a change, as often as they like.

**Renewal.** The agent asks for another token when one was refused: each thread of it, at the same time. The
daemon's token is the answer if it is another one by now; else the last answer, if it is a moment old; else the
daemon is asked for a refresh, of which it makes one for all who ask. An error is an answer too, and comes at
once: an agent that has none waits for a minute and a half.

**A login that is dead**, refused by the issuer for good, stays with the agent as it is. An agent that is logged out
sends prompts without credentials.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec
import trio

from accountd.client.errors import CallFailed, ClientError
from accountd.errors import (
    AgentUnavailable,
    LoginMethodForbidden,
    MethodNotFound,
    NotLoggedIn,
    RefreshRefused,
    RequestError,
    RequestFailed,
    WorkspaceForbidden,
)
from accountd.front.route import ASKS_TOKENS
from accountd.protocol.jsonrpc import render_error, render_request, render_result
from accountd.protocol.reasons import REASONS
from accountd.rpc.pending import ConnectionEnded
from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.client.client import Client
    from accountd.front.asked import Asked
    from accountd.front.child import Child
    from accountd.front.remote_account import RemoteAccount
    from accountd.protocol.account import AuthMode

FEED_TIMEOUT: Final = 5.0
"""Seconds that a change may wait for the agent to take it, before clients are told all the same."""

BARRIER_TIMEOUT: Final = 10.0
"""Seconds that a request to the agent may wait for that."""

RENEWAL_TIMEOUT: Final = 8.0
"""Seconds for a renewal; the agent waits for ten."""

_SAME_ANSWER: Final = 2.0
"""Seconds in which those who ask get the same token: threads whose requests were refused together."""

_NOBODY: Final = frozenset(REASONS[kind] for kind in (NotLoggedIn, LoginMethodForbidden, WorkspaceForbidden))
"""Reasons for which the agent has no login either: there is none, or policy does not permit the one there is."""

_REFUSED: Final = REASONS[RefreshRefused]

_log = logging.getLogger(__name__)


class Given(msgspec.Struct, frozen=True):
    """A login as the agent has it: an API key, or an access token with what goes with it."""

    token: Secret
    account_id: str | None = None
    plan: str | None = None

    @property
    def is_key(self) -> bool:
        """Return True for an API key, which is for no account."""
        return self.account_id is None


class Feed:
    """What one agent has been given. `account` is the daemon, on a connection of our own.

    Where nobody is logged in, `without_login` says why nothing is sent to the model; with None it is, as by Codex.
    `changed` is called when the agent has been given another login.
    """

    def __init__(
        self,
        account: Client | RemoteAccount,
        *,
        without_login: str | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.refusal: str | None = None
        """Why nothing can be had from the model: the login is dead, in Codex's words, or there is none; or None."""
        self._account = account
        self._without_login = without_login
        self._changed = changed
        self._child: Child | None = None
        self._given: Given | None = None
        self._turn = trio.Lock()
        self._renewing = trio.Lock()
        self._answered = -math.inf

    @property
    def auth_mode(self) -> AuthMode | None:
        """Say how the agent is logged in, by what it has been given."""
        if self._given is None:
            return None
        return "apikey" if self._given.is_key else "chatgpt"

    async def start(self, child: Child) -> None:
        """Give a new child its first login. Raises AgentUnavailable if it does not take it."""
        async with self._turn:
            self._child, self._given = child, None
            await self._bring_up_to_date(child)

    async def follow(self) -> NoReturn:
        """Give the agent each login that the daemon has from now on, until cancelled."""
        async for _ in self._account.notifications():
            await self.sync()
        raise AssertionError("notifications do not end")

    async def sync(self) -> None:
        """Return once the agent has the login that the daemon has; in FEED_TIMEOUT at most. Raises nothing."""
        with trio.move_on_after(FEED_TIMEOUT) as scope:
            async with self._turn:
                if self._child is not None:
                    try:
                        await self._bring_up_to_date(self._child)
                    except AgentUnavailable as error:
                        _log.warning("the agent has not been given the login: %s", error)
        if scope.cancelled_caught:
            _log.warning("the agent has not been given the login within %g seconds", FEED_TIMEOUT)

    async def wait_settled(self) -> None:
        """Return when the agent is not being given a login; in BARRIER_TIMEOUT at most."""
        if self._turn.locked():
            with trio.move_on_after(BARRIER_TIMEOUT):
                async with self._turn:
                    pass

    async def answer(self, child: Child, request: Asked) -> None:
        """Answer what the agent asks of us."""
        try:
            if request.method != ASKS_TOKENS:
                raise MethodNotFound(f"accountd does not answer `{request.method}`")
            with trio.fail_after(RENEWAL_TIMEOUT):
                given = await self._renew()
        except trio.TooSlowError:
            payload = render_error(request.id, RequestFailed("the daemon did not answer in time"))
        except RequestError as error:
            payload = render_error(request.id, error)
        else:
            payload = render_result(request.id, _render(given))
        with suppress(ConnectionEnded):
            child.control.send(payload)

    def interrupt(self, child: Child, thread: str, turn: str) -> None:
        """Have a turn end that can only fail; nobody waits for it."""
        with suppress(ConnectionEnded):
            params = {"threadId": thread, "turnId": turn}
            child.control.send(render_request(f"interrupt-{turn}", "turn/interrupt", params))

    async def _renew(self) -> Given:
        """Give a token in place of the one that was refused. Raises RequestFailed."""
        async with self._renewing:
            try:
                wanted = await self._read()
                is_news = wanted is not None and wanted != self._given
                if not is_news and trio.current_time() - self._answered > _SAME_ANSWER:
                    await self._account.read_account(refresh=True)
                    wanted = await self._read()
            except ClientError as error:
                raise RequestFailed(f"no other token can be had: {error}") from error
            if wanted is None or wanted.is_key:
                raise RequestFailed("nobody is logged in with ChatGPT")
            self._given, self._answered = wanted, trio.current_time()
            return wanted

    async def _bring_up_to_date(self, child: Child) -> None:
        """Give the agent what the daemon has, if it has something else; or leave it, if nobody knows."""
        try:
            wanted = await self._read()
        except ClientError as error:
            _log.warning("the agent keeps the login that it has: %s", error)
            if self._given is None and not await _has_login(child):
                self.refusal = str(error)
            return
        if wanted == self._given:
            return
        if wanted is None or wanted.is_key:
            await child.ask("account/logout", {})
        if wanted is not None:
            await child.ask("account/login/start", _render_login(wanted))
        self._given = wanted
        self._changed()
        _log.info("the agent has been given %s", "no login" if wanted is None else "another token")

    async def _read(self) -> Given | None:
        """Ask the daemon for its login. Raises ClientError, also for one that is dead."""
        try:
            answer = await self._account.read_token(min_valid=0)
        except CallFailed as error:
            if error.reason in _NOBODY:
                self.refusal = self._without_login
                return None
            self.refusal = str(error) if error.reason == _REFUSED else None
            raise
        self.refusal = None
        return Given(Secret(answer.token), answer.chatgpt_account_id, answer.plan_type)


async def _has_login(child: Child) -> bool:
    """Return True for a child that another front has given a login. Raises AgentUnavailable."""
    return (await child.ask("getAuthStatus", {"includeToken": False})).get("authMethod") is not None


def _render(given: Given) -> dict[str, object]:
    """Write a login as the answer to who asks for tokens."""
    return {
        "accessToken": given.token.reveal(),
        "chatgptAccountId": given.account_id,
        "chatgptPlanType": given.plan,
    }


def _render_login(given: Given) -> dict[str, object]:
    """Write a login as the params of `account/login/start`."""
    if given.is_key:
        return {"type": "apiKey", "apiKey": given.token.reveal()}
    return {"type": "chatgptAuthTokens", **_render(given)}
