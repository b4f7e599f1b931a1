"""What is stored, as values: a credential with all that goes with it; and what a store can do.

How it is written is `document`.
"""

from __future__ import annotations

import base64
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from accountd.codex.plans import PlanType, parse_plan
from accountd.oauth.claims import Claims, MalformedToken, parse_claims, read_claims
from accountd.oauth.fields import Uncarried, check_id, check_token
from accountd.oauth.tokens import TokenSet
from accountd.secret import Secret

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from accountd.oauth.refresh import Refreshed

Mode = Literal["apikey", "chatgpt", "chatgptAuthTokens"]
StoreKind = Literal["file", "keyring", "memory"]

COMMIT_TIMEOUT: Final = 30.0
"""Seconds to wait for other programs to let go of the credential locks; they hold them for one refresh."""


class Unknown(msgspec.Struct, frozen=True):
    """Members of the document that are not ours to understand, as they stand in it, but for the blanks between.

    They may hold secrets, so they are not shown.
    """

    members: dict[str, msgspec.Raw]

    def __repr__(self) -> str:
        return f"Unknown({len(self.members)})"  # a name may hold one as well


_NOTHING: Final = Unknown({})


class Provenance(msgspec.Struct, frozen=True):
    """Which issuer gave the tokens, and to which OAuth client."""

    issuer: str
    client_id: str
    unknown: Unknown = _NOTHING


class ChatgptLogin(msgspec.Struct, frozen=True):
    """The `tokens` of the document. `login_owner_id` is made anew for each login, and kept by its refreshes.

    `claims` are those of the ID token. `access_claims`, of the access token, are found when the login is made, and
    never again; None for a token that cannot be read, which is as good as any other. `claimed_account_id` is the
    workspace that it says it is for, beside them because it is asked about at each request. `plan` is the ID
    token's, unless that names another workspace than `account_id`, as after a switch, and the access token is the
    same person's in this one.
    """

    tokens: TokenSet
    claims: Claims
    account_id: str | None = None
    login_owner_id: str | None = None
    provenance: Provenance | None = None
    unknown: Unknown = _NOTHING
    access_claims: Claims | None = None
    claimed_account_id: str | None = None
    plan: PlanType = "unknown"

    def __post_init__(self) -> None:
        claims = read_claims(self.tokens.access_token)
        msgspec.structs.force_setattr(self, "access_claims", claims)
        msgspec.structs.force_setattr(self, "claimed_account_id", claims and claims.account_id)
        msgspec.structs.force_setattr(self, "plan", _find_plan(self.account_id, self.claims, claims))

    @property
    def session_id(self) -> str | None:
        """What clients know the login by, through all its refreshes and workspaces."""
        return self.login_owner_id or self.claims.user_id

    @property
    def user_id(self) -> str | None:
        """The person whom the access token is for; the ID token's, if that does not say."""
        return (self.access_claims and self.access_claims.user_id) or self.claims.user_id

    @property
    def expires_at(self) -> float | None:
        """When the access token expires, in Unix seconds; None if it does not say. Where it is empty, it has."""
        if not self.tokens.access_token:
            return 0.0
        return self.access_claims.expires_at if self.access_claims is not None else None


def _find_plan(account_id: str | None, identity: Claims, access: Claims | None) -> PlanType:
    if access is None or identity.account_id == account_id or access.account_id != account_id:
        return identity.plan
    return access.plan if access.user_id == identity.user_id else identity.plan


class AuthRecord(msgspec.Struct, frozen=True):
    """One stored credential. `mode` is None for one that this daemon keeps but cannot use."""

    mode: Mode | None
    api_key: Secret | None = None
    chatgpt: ChatgptLogin | None = None
    last_refresh: str | None = None
    unknown: Unknown = _NOTHING


class StoreDescription(msgspec.Struct, frozen=True):
    """Where a credential is, as far as is known by now; `note` says what a person should know about that.

    The location is a text for whoever asks: a path as `paths.tell` makes it.
    """

    kind: StoreKind
    location: str
    note: str | None = None


class AuthStore(Protocol):
    """A place for one credential. Every method may raise StorageError, and nothing else."""

    def describe(self) -> StoreDescription:
        """Say which place holds the credential, or would hold it: the one that counts where there are two."""
        ...

    async def recover(self) -> None:
        """Take over or remove what a crash has left, unless another program keeps the locks. For the start."""
        ...

    async def load(self) -> AuthRecord | None:
        """Read the credential; None if there is none. Raises MalformedRecord for one that cannot be read."""
        ...

    async def rehearse(self) -> None:
        """Raise StorageError, naming the place and a remedy, if no credential could be saved now.

        Do all that a save does, but for the saving, so that a person is not asked to approve a login in vain.
        Call it without the store locked.
        """
        ...

    async def rehearse_delete(self) -> None:
        """Raise StorageError if what is stored could not be deleted, as in a folder that cannot be written.

        Call it with the store locked.
        """
        ...

    def locked(self) -> AbstractAsyncContextManager[None]:
        """Keep every other program from changing the credential. Cancellable while it waits.

        What a crash has left is taken over or removed first, as by `recover`.
        """
        ...

    async def save(self, record: AuthRecord) -> None:
        """Replace the credential, durably and whole or not at all. Call it with the store locked.

        What it replaces is lost, but for a document that could not be read: that is kept aside.
        """
        ...

    async def delete(self) -> None:
        """Remove the credential, and what was kept aside. That there is none is no error. Call it with the lock."""
        ...


def api_key_record(api_key: Secret) -> AuthRecord:
    """Make the record of a login with an API key. Raises Uncarried."""
    check_token("the API key", api_key)
    return AuthRecord("apikey", api_key=api_key)


def chatgpt_record(
    tokens: TokenSet, claims: Claims, provenance: Provenance, now_ns: int, api_key: Secret | None = None
) -> AuthRecord:
    """Make the record of a login that has just got its tokens. `now_ns` is Unix time in nanoseconds.

    Raises Uncarried for an account that no request could name.
    """
    check_id("the account id", claims.account_id or "")
    owner = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    login = ChatgptLogin(tokens, claims, claims.account_id, owner, provenance)
    return AuthRecord("chatgpt", api_key, login, render_time(now_ns))


def external_record(access_token: Secret, account_id: str, plan: str | None) -> AuthRecord:
    """Make the record of a client's own token, which is never stored. Raises MalformedToken or Uncarried.

    Its claims are those of the access token; the plan that the client names goes before the token's. It has
    neither ID token nor refresh token.
    """
    claims = parse_claims(access_token)
    check_token("accessToken", access_token)
    check_id("chatgptAccountId", account_id)
    if plan is not None:
        claims = msgspec.structs.replace(claims, plan=parse_plan(plan))
    tokens = TokenSet(Secret(""), access_token, Secret(""))
    return AuthRecord("chatgptAuthTokens", chatgpt=ChatgptLogin(tokens, claims, account_id or None))


def refreshed_record(record: AuthRecord, login: ChatgptLogin, refreshed: Refreshed, now_ns: int) -> AuthRecord:
    """Make the record of a login whose tokens have been refreshed. What the issuer left out stays.

    The workspace is that of the login, whatever the new tokens say. An ID token that cannot be read, or is so long
    that the document could not be, is not taken: the refresh token beside it is, since the old one is spent.
    """
    old = login.tokens
    id_token, claims = old.id_token, login.claims
    if refreshed.id_token is not None:
        with suppress(MalformedToken, Uncarried):
            check_token("the ID token", refreshed.id_token)
            claims = parse_claims(refreshed.id_token)
            id_token = refreshed.id_token
    tokens = TokenSet(
        id_token, refreshed.access_token or old.access_token, refreshed.refresh_token or old.refresh_token
    )
    refreshed_login = msgspec.structs.replace(login, tokens=tokens, claims=claims)
    return msgspec.structs.replace(record, chatgpt=refreshed_login, last_refresh=render_time(now_ns))


def rotated_record(record: AuthRecord, login: ChatgptLogin, refresh_token: Secret) -> AuthRecord:
    """Make the record of a login of which nothing has changed but its refresh token."""
    tokens = msgspec.structs.replace(login.tokens, refresh_token=refresh_token)
    return msgspec.structs.replace(record, chatgpt=msgspec.structs.replace(login, tokens=tokens))


def switched_login(login: ChatgptLogin, access_token: Secret, account_id: str) -> ChatgptLogin:
    """Put a login into another workspace. Nothing else of it changes, as in Codex."""
    tokens = msgspec.structs.replace(login.tokens, access_token=access_token)
    return msgspec.structs.replace(login, tokens=tokens, account_id=account_id)


def is_same_account(record: AuthRecord, login: ChatgptLogin) -> bool:
    """Say whether a record is of the account of a login: the same person, in the same workspace."""
    other = record.chatgpt
    if record.mode != "chatgpt" or other is None or other.account_id != login.account_id:
        return False
    return other.user_id == login.user_id or None in (other.user_id, login.user_id)


def is_same_session(record: AuthRecord, login: ChatgptLogin) -> bool:
    """Say whether a record is of the same attempt to log in, by the same person, in whichever workspace.

    Old programs drop the id of that when they refresh.
    """
    other = record.chatgpt
    if other is None or record.mode != "chatgpt" or other.claims.user_id != login.claims.user_id:
        return False
    return other.login_owner_id == login.login_owner_id or None in (other.login_owner_id, login.login_owner_id)


def has_other_tokens(record: AuthRecord, login: ChatgptLogin) -> bool:
    """Say whether a record has other tokens of the same account."""
    other = record.chatgpt
    return is_same_account(record, login) and other is not None and other.tokens != login.tokens


def render_time(now_ns: int) -> str:
    """Write a time as RFC 3339 in UTC with nanoseconds, as Codex does."""
    seconds, nanoseconds = divmod(now_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
