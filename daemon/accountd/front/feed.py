"""The feed: the agent has the login that the daemon has, and has it before anybody hears of it.

**The barrier.** A change of the account is stored by the daemon, then given to the agent, and only then told to
a client: `sync` comes before `account/updated`, `account/login/completed` and the answers to what may have
changed it. A turn that is started right after them would otherwise be sent to the model without credentials.
While the agent is being given a login, requests to it wait.

**What is given** is one value (`given`), and is compared before it is given again. So `sync` may be called by
everybody who has heard of a change, as often as they like.

**Renewal.** The agent asks for another token when one was refused: each thread of it, at the same time. The
daemon's token is the answer if it is another one by now; else the last answer, if it is a moment old; else the
daemon is asked for a refresh, of which it makes one for all who ask. An error is an answer too, and comes at
once: an agent that has none waits for a minute and a half.

**A switch ends no turn.** An agent that is given a login of another account ends its turns. So one that has any is
left with the account that it has, renewed from that, until it has none; a logout does not wait.

**A login that is dead**, refused by the issuer for good, stays with the agent as it is. An agent that is logged out
sends prompts without credentials.
"""

from __future__ import annotations

import logging
import math
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, NoReturn

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
from accountd.front.given import Given, read_login
from accountd.front.route import ASKS_TOKENS
from accountd.protocol.jsonrpc import render_error, render_request, render_result
from accountd.protocol.reasons import REASONS
from accountd.protocol.status import AgentStatus
from accountd.rpc.pending import ConnectionEnded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from accountd.client.client import Client
    from accountd.front.asked import Asked
    from accountd.front.child import Child
    from accountd.front.given import Login
    from accountd.front.remote_account import RemoteAccount

FEED_TIMEOUT: Final = 5.0
"""Seconds that a change may wait for the agent to take it, before clients are told all the same."""

BARRIER_TIMEOUT: Final = 10.0
"""Seconds that a request to the agent may wait for that."""

RENEWAL_TIMEOUT: Final = 8.0
"""Seconds for a renewal; the agent waits for ten."""

_SAME_ANSWER: Final = 2.0
"""Seconds in which those who ask get the same token: threads whose requests were refused together."""

_TURNS_PAUSE: Final = 0.5
"""Seconds between two looks whether an agent still has turns, while it is to have another account."""

_NOT_LOGGED_IN: Final = REASONS[NotLoggedIn]
_FORBIDDEN: Final = frozenset(REASONS[kind] for kind in (LoginMethodForbidden, WorkspaceForbidden))
_REFUSED: Final = REASONS[RefreshRefused]
"""Reasons for which there is no token: there is no login, and the agent has none either; policy does not permit the
one there is, which the agent is not left with; the issuer has refused it for good, and the agent keeps it."""

_log = logging.getLogger(__name__)


class Feed:
    """Gives agents the login of `account`: the daemon, on a connection of our own.

    There is one agent, and beside it those that only finish what they have begun. Where nobody is logged in,
    `without_login` says why nothing is sent to the model; with None it is, as by Codex. `changed` is called when
    there is another agent, or one has another login.
    """

    def __init__(
        self,
        account: Client | RemoteAccount,
        *,
        without_login: str | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.refusal: str | None = None
        """Why nothing can be had from the model: there is no login, or it is dead or forbidden; None if it can."""
        self._account = account
        self._without_login = without_login
        self._changed = changed
        self._given: dict[str, Given] = {}  # by the socket of each
        self._turn = trio.Lock()
        self._renewing = trio.Lock()
        self._answered = -math.inf
        self._postponed = trio.Event()

    def describe_agents(self) -> tuple[AgentStatus, ...]:
        """Tell of each agent how it is logged in, by what it has been given."""
        return tuple(
            AgentStatus(given.child.pid, given.child.version, given.login.mode if given.login else None)
            for given in self._given.values()
        )

    @asynccontextmanager
    async def feeding(self, child: Child) -> AsyncIterator[None]:
        """Give a child its first login, and each other one for the block. Raises AgentUnavailable for the first."""
        given = self._given[child.socket] = Given(child)
        try:
            async with self._turn:
                await self._bring_up_to_date(given)
            self._changed()
            yield
        finally:
            del self._given[child.socket]
            self._changed()

    async def follow(self) -> NoReturn:
        """Give the agents each login that the daemon has from now on, until cancelled."""
        async for _ in self._account.notifications():
            await self.sync()
        raise AssertionError("notifications do not end")

    async def catch_up(self) -> NoReturn:
        """Give agents what was postponed, once their turns are over, until cancelled."""
        while True:
            await self._postponed.wait()
            await trio.sleep(_TURNS_PAUSE)
            self._postponed = trio.Event()
            await self.sync()

    async def sync(self) -> None:
        """Return once the agents have the login that the daemon has; in FEED_TIMEOUT at most. Raises nothing."""
        with trio.move_on_after(FEED_TIMEOUT) as scope:
            async with self._turn:
                for given in reversed(tuple(self._given.values())):  # the one that is used first
                    try:
                        await self._bring_up_to_date(given)
                    except AgentUnavailable as error:
                        _log.warning("agent %d has not been given the login: %s", given.child.pid, error)
        if scope.cancelled_caught:
            _log.warning("an agent has not been given the login within %g seconds", FEED_TIMEOUT)

    @property
    def is_settling(self) -> bool:
        """Return True while an agent is being given a login."""
        return self._turn.locked()

    async def wait_settled(self) -> None:
        """Return when no agent is being given a login; in BARRIER_TIMEOUT at most."""
        if self.is_settling:
            with trio.move_on_after(BARRIER_TIMEOUT):
                async with self._turn:
                    pass

    async def require_login(self, child: Child) -> None:
        """Raise RequestFailed if the agent would send to the model with a login that is dead, or between two."""
        given = self._given.get(child.socket)
        if given is not None and given.is_torn:
            await self.sync()
        if self.refusal is not None:
            raise RequestFailed(self.refusal)
        if given is not None and given.is_torn:
            raise RequestFailed("the Codex agent has not taken the login; try again")

    async def answer(self, child: Child, request: Asked) -> None:
        """Answer what an agent asks of us."""
        try:
            if request.method != ASKS_TOKENS:
                raise MethodNotFound(f"accountd does not answer `{request.method}`")
            with trio.fail_after(RENEWAL_TIMEOUT):
                login = await self._renew(child)
        except trio.TooSlowError:
            payload = render_error(request.id, RequestFailed("the daemon did not answer in time"))
        except RequestError as error:
            payload = render_error(request.id, error)
        else:
            payload = render_result(request.id, login.render_tokens())
        with suppress(ConnectionEnded):
            child.control.send(payload)

    def interrupt(self, child: Child, thread: str, turn: str) -> None:
        """Have a turn end that can only fail; nobody waits for it."""
        with suppress(ConnectionEnded):
            params = {"threadId": thread, "turnId": turn}
            child.control.send(render_request(f"interrupt-{turn}", "turn/interrupt", params))

    async def _renew(self, child: Child) -> Login:
        """Give a token in place of the one that was refused. Raises RequestFailed."""
        async with self._renewing:
            given = self._given.get(child.socket)
            try:
                wanted, owner = await self._read(), None
                if given is not None and given.is_of_another(wanted):
                    owner = given.owner
                    wanted = await self._read(owner)
                is_news = wanted is not None and given is not None and wanted != given.login
                if not is_news and trio.current_time() - self._answered > _SAME_ANSWER:
                    await self._account.read_account(refresh=True, account=owner)
                    wanted = await self._read(owner)
            except ClientError as error:
                raise RequestFailed(f"no other token can be had: {error}") from error
            if wanted is None or wanted.mode == "apikey":
                raise RequestFailed("nobody is logged in with ChatGPT")
            self._answered = trio.current_time()
            if given is not None and not given.is_torn:
                given.login = wanted
            return wanted

    async def _bring_up_to_date(self, given: Given) -> None:
        """Give an agent what the daemon has, if it has something else; or leave it, if nobody knows."""
        try:
            wanted = await self._read()
        except ClientError as error:
            _log.warning("agent %d keeps the login that it has: %s", given.child.pid, error)
            if not await given.has_login():
                self.refusal = str(error)
            return
        if given.is_of_another(wanted) and await given.child.has_turns():
            self._postponed.set()
            return
        if await given.give(wanted):
            self._changed()
            what = "no login" if wanted is None else "another token"
            _log.info("agent %d has been given %s", given.child.pid, what)

    async def _read(self, owner: str | None = None) -> Login | None:
        """Ask the daemon for its login, or another account's. Raises ClientError, also for one that is dead."""
        try:
            answer = await self._account.read_token(min_valid=0, account=owner)
        except CallFailed as error:
            is_final = error.reason in (_REFUSED, *_FORBIDDEN)
            self.refusal = str(error) if is_final else None
            if error.reason == _NOT_LOGGED_IN:
                self.refusal = self._without_login
            elif error.reason not in _FORBIDDEN:
                raise
            return None
        self.refusal = None
        return read_login(answer)
