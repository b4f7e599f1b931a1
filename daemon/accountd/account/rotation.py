"""How the tokens of an account are refreshed: by what another program has stored, else by the issuer.

A refresh token can be spent once, and one that comes a second time may end the login for everybody who has it. So:

- **Locks.** The account's own, then those that other programs respect; under both, a look at what is stored.
- **Adopt.** Other tokens of the same account there are another program's refresh, and those of the same session in
  another workspace are its switch: they are taken, and the issuer is not asked. Another account there is somebody's
  login. It is never overwritten: it is the account from then on, and who asked for a refresh of the old one is
  refused.
- **What is sent is seen through**, whoever cancels, and what comes back is stored before anybody sees it. From the
  moment that the issuer has read the old token, the answer has the only one there is.
- **What is spent** is never sent again. A refresh token in an answer that is otherwise of no use is kept. If the
  store will not take new tokens, memory has them until it does; and what is found in the store meanwhile is known
  to be what they have replaced, not what another program got.
- **Settle.** A refusal says that the token is spent, and not by whom. Stock clients take the locks only to store
  what they got, and may be waiting for ours with the successor in hand. So all locks are let go of for a moment,
  and the store is looked at again, before the refusal counts; and then it counts against exactly this login.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NoReturn

import trio

from accountd.account.continuity import continue_login
from accountd.errors import MalformedRecord, RefreshError, RefreshFailed, RefreshRefused, StorageError
from accountd.oauth.refresh import NO_REFRESH_TOKEN
from accountd.storage.base import (
    has_other_tokens,
    is_same_account,
    is_same_session,
    refreshed_record,
    rotated_record,
)
from accountd.unforeseen import describe_unforeseen

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.account.credential import Credential
    from accountd.audit.log import AuditLog
    from accountd.backend.client import Backend
    from accountd.counters import Counters, RefreshOutcome
    from accountd.oauth.refresh import Reason
    from accountd.storage.base import AuthRecord, AuthStore, ChatgptLogin
    from accountd.system.clock import Clock
    from accountd.web.issuer import Issuer

_CHANGED_UNDERNEATH: Final = (
    "Your access token could not be refreshed because you have since logged out or signed in to another account. "
    "Please sign in again."
)
_MOMENT: Final = (0.05, 0.2, 0.5, 1.25)
"""Seconds between looks at the store, for a token that another program has spent and not yet stored."""

_log = logging.getLogger(__name__)


class Rotation:
    """The refreshes of one account, each made when its Refresher says so. `changing` is the account's lock."""

    def __init__(
        self,
        credential: Credential,
        store: AuthStore,
        issuer: Issuer,
        backend: Backend,
        changing: trio.Lock,
        *,
        clock: Clock,
        audit: AuditLog,
        counters: Counters,
    ) -> None:
        self._credential = credential
        self._clock = clock
        self._changing = changing
        self._store = store
        self._issuer = issuer
        self._backend = backend
        self._audit = audit
        self._counters = counters

    async def refresh(self, reason: Reason, instead_of: ChatgptLogin | None = None) -> None:
        """Have other tokens: those that another program has stored, else new ones from the issuer.

        With `instead_of`, only if it is these that are still in use. A client's own tokens are not refreshed.

        Raises RefreshError, and then the account is as it was; but for one that has changed underneath.
        A refresh token that has been sent is seen through, whoever cancels.
        """
        login = self._credential.login
        try:
            outcome = await self._refresh_or_settle(reason, instead_of)
        except RefreshError as error:
            refused = isinstance(error, RefreshRefused)
            self._note(reason, "refused" if refused else "failed")
            failed = self._counters.note_refresh("failed", error)
            if self._credential.login is login:  # else it is not said of another login
                self._credential.last_refresh = failed
            raise
        if outcome is not None:
            self._note(reason, outcome)
            self._credential.last_refresh = self._counters.note_refresh(outcome)

    def _note(self, reason: Reason, outcome: str) -> None:
        self._audit.note("refresh", reason=reason, outcome=outcome, account=self._credential.known_as)

    async def _refresh_or_settle(self, reason: Reason, instead_of: ChatgptLogin | None) -> RefreshOutcome | None:
        try:
            return await self._refresh(reason, instead_of)
        except _Spent as spent:
            return await self._settle(spent)
        except StorageError as error:
            raise RefreshFailed(str(error)) from error

    async def _refresh(self, reason: Reason, instead_of: ChatgptLogin | None) -> RefreshOutcome | None:
        """Refresh under the locks, if there is anything to refresh. Raises _Spent where the issuer refuses."""
        credential = self._credential
        async with self._changing, self._store.locked():
            record, login = credential.record, credential.managed_login
            if record is None or login is None or credential.is_retired or instead_of not in (None, login):
                return None
            stored = await self._store.load()
            if credential.is_newer_than(stored):
                current = record
            elif stored is None or not is_same_account(stored, login):
                credential.give_way(stored)
                if stored is not None and is_same_session(stored, login):
                    return "adopted"  # another program has switched to another workspace
                raise RefreshRefused(_CHANGED_UNDERNEATH)
            elif has_other_tokens(stored, login):
                credential.adopt(stored)  # another program was first
                return "adopted"
            else:
                current = stored  # with whatever else others have written into it
            if (refusal := credential.find_refusal(login)) is not None:
                raise RefreshRefused(str(refusal), refusal.code)
            if not login.tokens.refresh_token:
                self._refuse_without_request(login)
            known = current.chatgpt or login
            with trio.CancelScope(shield=True):
                try:
                    answer = await self._issuer.refresh(login.tokens.refresh_token, reason)
                    refreshed, failure = await continue_login(known, answer, self._backend)
                except RefreshRefused as error:
                    raise _Spent(login, error) from error
                except RefreshFailed as error:
                    if error.rotated is not None:  # the one that was sent is spent, whatever came with it
                        rotated = rotated_record(current, known, error.rotated)
                        await self._save(stored, rotated, credential.hold_rotated)
                    raise
                record = refreshed_record(current, known, refreshed, int(self._clock.now() * 1e9))
                await self._save(stored, record, credential.adopt)
                if failure is not None:
                    raise failure
        return "done"

    def _refuse_without_request(self, login: ChatgptLogin) -> NoReturn:
        """Refuse for want of a refresh token, for good once the access token has expired."""
        refusal = RefreshRefused(NO_REFRESH_TOKEN)
        if login.expires_at is not None and login.expires_at <= self._clock.now():
            self._credential.refuse(login, refusal)
        raise refusal

    async def _save(
        self, stored: AuthRecord | None, record: AuthRecord, take: Callable[[AuthRecord], None]
    ) -> None:
        """Store what a refresh gave. If the store will not have it, memory must: the old token is spent."""
        try:
            await self._store.save(record)
            self._credential.note_unsaved(None)
        except Exception as error:  # noqa: BLE001 - a bug must not lose it either
            cause = error if isinstance(error, StorageError) else describe_unforeseen(error)
            _log.error("the refreshed token is in memory alone until the store takes it: %s", cause)
            self._credential.note_unsaved(stored)
        take(record)

    async def save_again(self) -> None:
        """Have the store take what it would not take before, unless it has something else by now."""
        async with self._changing:
            try:
                async with self._store.locked():
                    await self._save_if_newer()
            except StorageError as error:
                _log.warning("the refreshed token is still in memory alone: %s", error)

    async def _save_if_newer(self) -> None:
        """Store what memory alone has; but what somebody else has stored meanwhile is taken instead."""
        credential = self._credential
        try:
            stored = await self._store.load()
        except MalformedRecord:
            stored, is_newer = None, True  # the store keeps aside what nobody can read
        else:
            is_newer = credential.is_newer_than(stored)
        if is_newer and credential.record is not None:
            await self._store.save(credential.record)
            credential.note_unsaved(None)
        elif stored == credential.record:
            credential.note_unsaved(None)
        else:
            credential.give_way(stored)

    async def _settle(self, spent: _Spent) -> RefreshOutcome | None:
        """Take a refusal for what it is, unless another program turns out to have been first.

        Codex takes the locks only to store what it got. So whoever spent the token may have waited for us to
        let go of them, and gets a moment, with the locks free, to store the new one.
        """
        credential = self._credential
        pauses = list(_MOMENT if spent.refusal.code == "refresh_token_reused" else (0.0,))
        while True:
            await trio.sleep(pauses.pop(0))
            async with self._changing:
                if credential.login is not spent.login:
                    return None
                stored = await self._look()
                older = credential.is_newer_than(stored)  # what the disk has kept of before is no refresh
                if stored is not None and not older and has_other_tokens(stored, spent.login):
                    credential.adopt(stored)
                    return "adopted"
                if not pauses:
                    credential.refuse(spent.login, spent.refusal)
                    raise spent.refusal

    async def _look(self) -> AuthRecord | None:
        """Read the store, where one that cannot be read has nothing new to say."""
        try:
            return await self._store.load()
        except StorageError as error:
            _log.warning("the store cannot be read, so the refusal stands: %s", error)
            return None


class _Spent(Exception):
    """The issuer will not take the refresh token of this login."""

    def __init__(self, login: ChatgptLogin, refusal: RefreshRefused) -> None:
        super().__init__(str(refusal))
        self.login = login
        self.refusal = refusal
