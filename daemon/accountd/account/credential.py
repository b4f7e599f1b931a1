"""The credential in use: what is known of it, and what clients have been told. Nothing here waits, or is stored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

import trio

from accountd.config.policy import Policy, PolicyHolder
from accountd.errors import InvalidRequest, MalformedRecord, WorkspaceForbidden
from accountd.hub import Audience
from accountd.oauth.refresh import find_due_time
from accountd.protocol.account import AccountTokenChanged, AccountUpdated

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.account.external import ExternalTokens
    from accountd.config.settings import LoginMethod
    from accountd.counters import LastRefresh
    from accountd.errors import AccountdError, RefreshRefused, StorageError
    from accountd.hub import Hub
    from accountd.secret import Secret
    from accountd.storage.base import AuthRecord, ChatgptLogin, Mode

_METHODS: Final[dict[Mode, LoginMethod]] = {"apikey": "api", "chatgpt": "chatgpt", "chatgptAuthTokens": "chatgpt"}

_UNRESTRICTED: Final = Policy()

_log = logging.getLogger(__name__)


def find_objection(record: AuthRecord, policy: Policy) -> AccountdError | None:
    """Give why a credential must not be used, with what to do; None if it may be."""
    if record.mode is None:
        is_known = not record.unknown.members
        return None if is_known else MalformedRecord("it is of a kind that accountd cannot use. Log in again.")
    try:
        policy.check_method(_METHODS[record.mode])
    except InvalidRequest as error:
        return error.with_traceback(None)  # which says what else is permitted
    try:
        policy.check_workspace(None if record.mode == "apikey" else record.chatgpt)
    except WorkspaceForbidden as error:
        return WorkspaceForbidden(f"{error} Log in again.")
    return None


def _identify(login: ChatgptLogin) -> tuple[str | None, ...]:
    return login.login_owner_id, login.account_id, login.claims.user_id


def _spent(login: ChatgptLogin) -> Secret:
    """Give what a refusal is about: the refresh token, or without one the access token that has run out."""
    return login.tokens.refresh_token or login.tokens.access_token


class Keeper(Protocol):
    """Who is told of what becomes of a credential by itself: the collection of accounts, which keeps a list."""

    @property
    def known_as(self) -> str | None:
        """The id of the account, for the audit log; None while there is one account alone."""
        ...

    def find_audience(self, stored: AuthRecord | None) -> Audience:
        """Take note of what another program has stored in the place of this; say whom that concerns."""
        ...

    def note_moved(self, record: AuthRecord) -> None:
        """Take note that the login is in another workspace now."""
        ...

    def note_refreshed(self) -> None:
        """Take note of other tokens of the same account."""
        ...


class Credential:
    """The credential of an account, as far as memory goes.

    It may be read at any time: a record is a value, which is replaced whole. What changes it is for those who hold
    the account's lock.
    """

    def __init__(self, policy: PolicyHolder, hub: Hub) -> None:
        self.record: AuthRecord | None = None
        self.external: ExternalTokens | None = None
        self._unreadable: StorageError | None = None  # why the store could not be read, and what to do
        self._policy = policy
        self._hub = hub
        self.last_refresh: LastRefresh | None = None  # of the login that there is now
        self.keeper: Keeper | None = None
        self.audience = Audience(followers=True)
        self.is_at_rest = False
        self.is_doubtful = False
        self.is_retired = False
        self._refused: tuple[Secret, RefreshRefused] | None = None  # the refresh token that was
        self._unsaved: AuthRecord | None = None  # what the store has, while it would not take what is newer
        self._changed = trio.Event()
        self._due_time: float | None = None
        self._announced = AccountUpdated(None, None)
        self.requires_openai_auth = True

    @property
    def current(self) -> AuthRecord | None:
        """The credential in use. One that the policy forbids is hidden, and kept.

        A client's own tokens go before what is stored, until a logout.
        """
        if self.external is not None:
            return self.external.record
        record = self.record
        return record if record is not None and self.permits(record) else None

    @property
    def objection(self) -> AccountdError | None:
        """Why nobody is logged in though something is stored, and what to do; None if nothing is, or it is used."""
        if self.current is not None and self.current.mode is not None:
            return None
        return self._unreadable if self.record is None else find_objection(self.record, self._policy.current)

    def permits(self, record: AuthRecord) -> bool:
        """Ask the policy of now about a credential."""
        policy = self._policy.current
        if record.mode is None or not policy.permits(_METHODS[record.mode]):
            return False
        return record.mode == "apikey" or policy.permits_workspace(record.chatgpt)

    @property
    def is_external(self) -> bool:
        """Whether a client's own tokens are in use, which no other login may replace before a logout."""
        return self.external is not None

    @property
    def login(self) -> ChatgptLogin | None:
        """The ChatGPT login in use, if that is what the credential is."""
        record = self.current
        return record.chatgpt if record is not None and record.mode != "apikey" else None

    @property
    def managed_login(self) -> ChatgptLogin | None:
        """The login in use, if it is one of ours and not a client's own tokens."""
        return None if self.is_external else self.login

    def is_still(self, login: ChatgptLogin) -> bool:
        """Say whether the login in use is still this one, whose tokens may have been refreshed."""
        now = self.login
        return now is not None and _identify(now) == _identify(login)

    @property
    def routable(self) -> ChatgptLogin | None:
        """The login whose workspace is to be known: not one that is refused, or that nothing here needs."""
        login = self.login
        if login is None or login.account_id is None or not self.requires_openai_auth:
            return None
        return None if self.find_refusal(login) is not None else login

    @property
    def due_time(self) -> float | None:
        """When the token should be refreshed, in Unix seconds; None if there is none that could be."""
        login = self.login
        if login is None or self.external is not None or self.is_retired or self.find_refusal(login) is not None:
            return None
        return self._due_time

    def is_due(self, now: float) -> bool:
        """Say whether it should be by now, which is quickly said where it should not."""
        return self._due_time is not None and self._due_time <= now and self.due_time is not None

    @property
    def upkeep_time(self) -> float | None:
        """When the token is refreshed ahead of time: as it is due; at rest so seldom that the login does not end.

        One that may have been spent elsewhere is left alone: nobody needs to know.
        """
        record = self.record
        if record is None or self.is_spared or self.due_time is None:
            return None
        if not self.is_at_rest:
            return self.due_time
        return find_due_time(None, record.last_refresh)

    @property
    def is_spared(self) -> bool:
        """Whether it is refreshed only for who needs its token: it may be spent elsewhere, and is not active."""
        return self.is_doubtful and not self.audience.followers

    @property
    def known_as(self) -> str | None:
        """See Keeper.known_as."""
        return self.keeper.known_as if self.keeper is not None else None

    def rest(self, *, at_rest: bool) -> None:
        """Have the credential kept ready for those who mean it, or, while nobody does, be kept alone."""
        if at_rest != self.is_at_rest:
            self.is_at_rest = at_rest
            self._wake()

    @property
    def refusal(self) -> RefreshRefused | None:
        """What the issuer has said against the login in use, for good."""
        login = self.record.chatgpt if self.record is not None else None
        return self.find_refusal(login) if login is not None else None

    @property
    def changed(self) -> trio.Event:
        """Set when the credential, or whether it is needed, is another one than when this was asked for."""
        return self._changed

    def find_refusal(self, login: ChatgptLogin) -> RefreshRefused | None:
        """Recall that the issuer has refused this login's refresh token, in whichever workspace it is used."""
        return self._refused[1] if self._refused is not None and self._refused[0] == _spent(login) else None

    @property
    def is_unsaved(self) -> bool:
        """Whether the store has not taken what a refresh gave, so that only memory has it."""
        return self._unsaved is not None

    def is_newer_than(self, stored: AuthRecord | None) -> bool:
        """Say whether this is what the store has, and would not give up for what a refresh gave."""
        return self._unsaved is not None and stored == self._unsaved

    def note_unsaved(self, stored: AuthRecord | None) -> None:
        """Remember what the store kept instead of the credential; None once it has taken that."""
        self._unsaved = stored

    def retire(self) -> None:
        """Be what was known of a login that is elsewhere by now: for reads under way, and refreshed no more."""
        self.is_retired, self._unsaved = True, None
        self._wake()

    def hold(self, record: AuthRecord | None) -> None:
        """Have this credential, and say nothing. A failure leaves what there was."""
        login = record.chatgpt if record is not None else None
        self._due_time = find_due_time(login.expires_at, record.last_refresh) if record and login else None
        if record is not self.record and not _UNRESTRICTED.permits_workspace(login):
            _log.warning(
                "the stored login is not used, since its access token is for another workspace; log in again"
            )
        self.record = record
        self._unreadable = None
        self._wake()

    def use_external(self, external: ExternalTokens) -> None:
        """Have a client's own tokens before what is stored, and say nothing."""
        self.external = external
        self.hold(self.record)

    def follow_policy(self) -> None:
        """See Account.follow_policy."""
        if self.external is not None and not self.permits(self.external.record):
            self.external = None
        if self.is_news:
            self.hold(self.record)
            self.publish()

    def follow_provider(self, *, requires_openai_auth: bool) -> None:
        """Have clients told of a login only if the model provider in use needs one. It stays either way."""
        if requires_openai_auth != self.requires_openai_auth:
            self.requires_openai_auth = requires_openai_auth
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def note_unreadable(self, error: StorageError | None) -> None:
        """Remember why nothing is known of what is stored, until something is held."""
        is_for_good = isinstance(error, MalformedRecord)  # else it says itself what would help
        self._unreadable = MalformedRecord(f"{error}. Log in again.") if is_for_good else error

    def hold_rotated(self, record: AuthRecord) -> None:
        """Have another refresh token beside the same access token: nothing that anybody waits for."""
        self.record = record

    def become(
        self,
        record: AuthRecord | None,
        announce: Callable[[], None] = lambda: None,
        *,
        refusal: RefreshRefused | None = None,
        to: Audience | None = None,
    ) -> None:
        """Have another credential, and say so; `announce` is called right before.

        `refusal` is what the issuer has said against it already, and `to` who is told, if that is not everybody
        who means this account.
        """
        if not self._is_switch(record):
            self._refused = None
        self.external = self._unsaved = self.last_refresh = None
        self.hold(record)
        if refusal is not None and record is not None and record.chatgpt is not None:
            self.recall_refusal(record.chatgpt, refusal)
        announce()
        self.publish(to)
        if self._refused is not None:
            self._hub.publish(AccountUpdated(None, None), extension=True, to=to or self.audience)

    def give_way(self, stored: AuthRecord | None) -> None:
        """Have what another program has stored in the place of this, and say so.

        While a client's own tokens are in use, nobody would see a difference.
        """
        to: Audience | None = None
        if self.keeper is not None and stored is not None and self._is_switch(stored):
            self.keeper.note_moved(stored)
        elif self.keeper is not None:
            to = self.keeper.find_audience(stored)
        if self.is_external:
            self._unsaved = None
            self.hold(stored)
        else:
            self.become(stored, to=to)

    def move(self, record: AuthRecord) -> None:
        """Have the same login in another workspace, and say so."""
        if self.keeper is not None:
            self.keeper.note_moved(record)
        self.become(record)

    def _is_switch(self, record: AuthRecord | None) -> bool:
        """Say whether this is the login that there was, in another workspace: its refresh token is no better."""
        was = self.record.chatgpt if self.record is not None else None
        login = record.chatgpt if record is not None else None
        return (
            was is not None
            and login is not None
            and was.account_id != login.account_id
            and was.tokens.refresh_token == login.tokens.refresh_token
        )

    def adopt(self, record: AuthRecord | None) -> None:
        """Have newer tokens of the same account. Stock clients hear of it only if they can see a difference."""
        healed, self._refused = self._refused is not None, None
        self.hold(record)
        if self.keeper is not None:
            self.keeper.note_refreshed()
        if self.is_news:
            self.publish()
        elif healed:  # those who were told of the refusal are told that it is over
            self._hub.publish(self.describe(), extension=True, to=self.audience)
        else:  # to those who hand tokens on
            self._hub.publish(AccountTokenChanged(), to=self.audience)

    def recall_refusal(self, login: ChatgptLogin, refusal: RefreshRefused) -> None:
        """Know what the issuer has said against a login elsewhere."""
        self._refused = (_spent(login), refusal)

    def refuse(self, login: ChatgptLogin, refusal: RefreshRefused) -> None:
        """Remember that the issuer has refused this login, and say so to those who would see it."""
        self._refused = (_spent(login), refusal)
        self._hub.publish(AccountUpdated(None, None), extension=True, to=self.audience)

    @property
    def is_news(self) -> bool:
        """Whether clients have been told something else than what is so."""
        return self.describe() != self._announced

    def publish(self, to: Audience | None = None) -> None:
        """Tell every client that means this account what is so."""
        self.take_as_told()
        self._hub.publish(self._announced, to=to or self.audience)

    def take_as_told(self) -> None:
        """Count what is so as what clients know, since each finds it out when it comes."""
        self._announced = self.describe()

    def describe(self) -> AccountUpdated:
        """Say what is so, as clients are told it."""
        current, login = self.current, self.login
        mode = current.mode if current is not None else None
        return AccountUpdated(mode, login.plan if login is not None else None)
