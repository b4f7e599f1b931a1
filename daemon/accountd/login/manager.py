"""Runs the logins: begins them, lets the newest win, and completes each exactly once.

A login belongs to this manager, not to the connection that began it. How a person approves is a flow's
business (`device_code`, `browser`); it ends in tokens, and from there on all logins are alike.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import trio

from accountd.account.external import EXTERNAL_IS_ACTIVE, ExternalTokens
from accountd.errors import (
    DaemonEnding,
    ExternalTokensActive,
    InvalidRequest,
    LoginCancelled,
    LoginFailed,
    RequestFailed,
    ShuttingDown,
    StorageError,
)
from accountd.login.intent import USUAL, Intent
from accountd.login.lifecycle import Login, State
from accountd.logs import bind_fields
from accountd.protocol.account import (
    AccountLoginCompleted,
    ApiKeyLoginDone,
    ExternalTokensLoginDone,
    LoginUnderWay,
)
from accountd.protocol.reasons import ErrorReason, explain_reason
from accountd.unforeseen import report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from accountd.account.external import Ask
    from accountd.accounts.accounts import Accounts
    from accountd.audit.log import AuditLog, Event
    from accountd.counters import Counters, LoginKind
    from accountd.errors import AccountdError
    from accountd.hub import Hub
    from accountd.login.admission import Admission
    from accountd.login.flow import Attempt, Flow
    from accountd.protocol.account import Entrypoint, ExternalTokensLogin, Wire
    from accountd.secret import Secret
    from accountd.system.clock import Clock

    Reply = Callable[[Wire], None]

ApprovalT = TypeVar("ApprovalT")

NOT_COMPLETED: Final = "Login was not completed"

_ENDS: Final = {State.COMPLETED: "completed", State.FAILED: "failed", State.CANCELLED: "been cancelled"}

_EVENTS: Final[dict[State, Event]] = {
    State.COMPLETED: "login.completed",
    State.FAILED: "login.failed",
    State.CANCELLED: "login.cancelled",
}

_log = logging.getLogger(__name__)


class LoginManager:
    """The logins under way: one, and those that it replaced and that have not quite ended."""

    def __init__(
        self,
        nursery: trio.Nursery,
        accounts: Accounts,
        admission: Admission,
        hub: Hub,
        *,
        clock: Clock,
        counters: Counters,
        audit: AuditLog,
    ) -> None:
        self._audit = audit
        self._nursery = nursery
        self._accounts = accounts
        self._admission = admission
        self._hub = hub
        self._clock = clock
        self._counters = counters
        self._logins: dict[str, Login] = {}
        self._open = True

    async def start(self, flow: Flow[ApprovalT], reply: Reply, intent: Intent = USUAL) -> None:
        """Begin a login; `reply` is called when it has begun, and before anything is heard of its end.

        A failure until then is raised here, as a RequestError, and leaves an earlier login as it was. Later
        ones are notifications. Cancelling this call cancels what has not begun.
        """
        self._check_replaceable()
        self._admission.check_method("chatgpt")
        await self._accounts.rehearse()
        await self._nursery.start(self._run, flow, reply, intent)

    async def start_api_key(self, key: Secret, reply: Reply, intent: Intent = USUAL) -> None:
        """Log in with an API key, at once. Raises RequestError."""
        self._check_replaceable()
        record = self._admission.admit_key(key)
        await self.cancel_all()

        def announce() -> None:
            self._audit.note("login.completed", method="apiKey")
            reply(ApiKeyLoginDone())
            self._complete_at_once("apiKey")

        self._counters.logins_started["apiKey"] += 1
        try:
            intent.check_owner(record)
            await self._accounts.log_in(record, announce, alias=intent.alias, activate=intent.activate)
        except (LoginFailed, StorageError) as error:
            self._counters.logins_failed["apiKey"] += 1
            self._audit.note("login.failed", method="apiKey", reason=type(error).__name__)
            if isinstance(error, LoginFailed):
                raise InvalidRequest(str(error)) from error
            raise RequestFailed(f"failed to save api key: {error}") from error

    async def start_external(self, tokens: ExternalTokensLogin, ask: Ask, reply: Reply) -> None:
        """Use a client's tokens from now on, in memory alone. Raises RequestError."""
        record = self._admission.admit_external(tokens)
        await self.cancel_all()

        def announce() -> None:
            self._cancel_what_can_be()  # what has begun while this waited for its turn
            reply(ExternalTokensLoginDone())
            self._complete_at_once("chatgptAuthTokens")

        self._counters.logins_started["chatgptAuthTokens"] += 1
        external = ExternalTokens(record, ask, self._admission.policy, self._audit)
        await self._accounts.active.use_external(external, announce)

    def _complete_at_once(self, kind: LoginKind) -> None:
        self._counters.logins_completed[kind] += 1
        self._hub.publish(AccountLoginCompleted(login_id=None, success=True))

    def _check_replaceable(self) -> None:
        if self._accounts.active.credential.is_external:
            raise ExternalTokensActive(EXTERNAL_IS_ACTIVE)

    def _find_refusal(self) -> InvalidRequest | None:
        """Say why no login may begin now, if none may."""
        if not self._open:
            return ShuttingDown("Server is draining; retry after reconnecting")
        return ExternalTokensActive(EXTERNAL_IS_ACTIVE) if self._accounts.active.credential.is_external else None

    async def cancel(self, login_id: str) -> bool:
        """Cancel a login. True promises that nothing was stored and nothing will be.

        A commit that is under way is waited for: it is too late for that login, and its completion says so.
        """
        login = self._logins.get(login_id)
        if login is None:
            return False
        cancelled = login.cancel()
        self._audit.note("login.cancel", login=login_id, outcome="cancelled" if cancelled else "too late")
        if not cancelled:
            await login.ended.wait()
        return cancelled

    def under_way(self) -> tuple[LoginUnderWay, ...]:
        """List the logins that are waiting, or have not got further than their commit."""
        logins = ((login.progress(), login.started) for login in self._logins.values())
        return tuple(LoginUnderWay(progress, started) for progress, started in logins if progress is not None)

    def would_activate(self) -> bool:
        """Return True if a login is under way that would be the active account."""
        return any(login.intent.activate for login in self._logins.values())

    def submit_callback(self, login_id: str, url: str) -> None:
        """Hand a login the address at which the person's browser ended. Raises InvalidRequest, and it goes on."""
        login = self._logins.get(login_id)
        if login is None or login.state is not State.WAITING:
            raise InvalidRequest("no login with this id waits for the person")
        login.attempt.submit_callback(url)

    async def cancel_all(self) -> None:
        """Cancel every login, and wait until each has completed, in whichever way."""
        self._cancel_what_can_be()
        for login in tuple(self._logins.values()):
            await login.ended.wait()

    def _cancel_what_can_be(self) -> None:
        for login in self._logins.values():
            login.cancel()

    async def shut(self) -> None:
        """Begin no login any more, cancel those there are, and wait until each has completed."""
        self._open = False
        await self.cancel_all()

    async def _run(
        self, flow: Flow[ApprovalT], reply: Reply, intent: Intent, task_status: trio.TaskStatus[None]
    ) -> None:
        """Live one login from its beginning to its completion. Raises nothing of it once it has begun."""
        begun = False

        async def live(attempt: Attempt[ApprovalT]) -> None:
            nonlocal begun
            login = self._begin(attempt, reply, intent)
            begun = True
            task_status.started()
            with bind_fields(login=login.id):
                try:
                    await self._live(login, attempt)
                finally:  # cancelled, by its scope or with everything else, if it has not completed
                    self._complete(login, (LoginCancelled if self._open else DaemonEnding)(NOT_COMPLETED))

        try:
            async with flow.open() as attempt:
                refusal = self._find_refusal()  # once more: it has taken a while to prepare
                if refusal is None:
                    await live(attempt)
        except Exception as error:
            if not begun:
                raise
            report(_log, "the end of a login", error)  # a bug ends its login, not the daemon
        if refusal is not None:
            raise refusal  # here, since a nursery of the flow's would make a group of it

    def _begin(self, attempt: Attempt[Any], reply: Reply, intent: Intent) -> Login:
        """Have a login wait for its person. A failure leaves everything as it was."""
        login = Login(str(uuid.uuid4()), attempt, self._clock.now(), intent)
        self._counters.logins_started[login.kind] += 1
        reply(login.started)
        self._cancel_what_can_be()  # the newest wins
        self._logins[login.id] = login
        return login

    async def _live(self, login: Login, attempt: Attempt[ApprovalT]) -> None:
        """Take a login to its end, whatever that is. Raises nothing but a cancellation from outside."""
        try:
            with login.scope:
                await self._see_through(login, attempt)
        except (LoginFailed, StorageError) as error:
            self._complete(login, error)
        except Exception as error:  # noqa: BLE001 - a bug ends its login, not the daemon
            self._complete(login, LoginFailed(report(_log, "the login", error)))

    async def _see_through(self, login: Login, attempt: Attempt[ApprovalT]) -> None:
        """Take a login through its states. Every failure leaves by an exception."""

        def retrying(retries: int, cause: str | None) -> None:
            login.note_retry(retries, cause)
            self._tell(login)

        _log.info("the login waits for the person")
        self._audit.note("login.started", method=login.kind)
        self._tell(login)
        approval = await attempt.wait_approval(retrying)
        await self._advance(login, State.EXCHANGING)
        granted = await attempt.exchange(approval)
        intent = login.intent
        record = self._admission.admit_tokens(granted.tokens, granted.api_key, intent.sign_in)
        intent.check_owner(record)
        if record.chatgpt is not None:
            await self._accounts.active.requirements.load_for(record.chatgpt)
        await self._advance(login, State.COMMITTING)
        try:
            await self._accounts.log_in(
                record,
                announce=lambda: self._complete(login, None, granted.onboarding_entrypoint),
                alias=intent.alias,
                activate=intent.activate,
            )
        except InvalidRequest as error:  # somebody else has got the name meanwhile
            raise LoginFailed(str(error)) from error

    async def _advance(self, login: Login, state: State) -> None:
        await login.advance(state)
        self._tell(login)

    def _tell(self, login: Login) -> None:
        """Say where a login is, to those who follow it."""
        progress = login.progress()
        if progress is not None:
            self._hub.publish(progress)

    def _complete(self, login: Login, error: AccountdError | None, entrypoint: Entrypoint | None = None) -> None:
        """Say how a login ended, to all and once, whatever goes wrong in it. Cannot be cancelled."""
        if login.ended.is_set():
            return
        del self._logins[login.id]
        login.ended.set()
        words = None if error is None else str(error)
        reason: ErrorReason | msgspec.UnsetType = msgspec.UNSET
        try:
            reason = msgspec.UNSET if error is None else explain_reason(error)
            words = self._conclude(login, error)
        except Exception as bug:  # noqa: BLE001 - those who wait for the completion get one
            report(_log, "the end of a login", bug)
        self._hub.publish(AccountLoginCompleted(login.id, error is None, words, entrypoint, reason))

    def _conclude(self, login: Login, error: AccountdError | None) -> str | None:
        """Write down how a login ended, show it to the person, and give the words for clients."""
        if login.state is not State.CANCELLED:
            login.move(State.COMPLETED if error is None else State.FAILED)
        counters = self._counters
        ends = {State.COMPLETED: counters.logins_completed, State.FAILED: counters.logins_failed}
        ends.get(login.state, counters.logins_cancelled)[login.kind] += 1
        words = login.attempt.conclude(error)
        _log.info("the login has %s%s", _ENDS[login.state], f": {error}" if error else "")
        reason = type(error).__name__ if login.state is State.FAILED else None
        self._audit.note(_EVENTS[login.state], method=login.kind, reason=reason)
        return words


@asynccontextmanager
async def open_logins(
    accounts: Accounts,
    admission: Admission,
    hub: Hub,
    *,
    clock: Clock,
    audit: AuditLog,
    counters: Counters,
) -> AsyncIterator[LoginManager]:
    """Give the login manager; leaving the block cancels its logins and waits for their commits."""
    async with trio.open_nursery() as nursery:
        yield LoginManager(nursery, accounts, admission, hub, clock=clock, audit=audit, counters=counters)
        nursery.cancel_scope.cancel()
