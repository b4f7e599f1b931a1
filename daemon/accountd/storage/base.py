"""What is stored: `auth.json`, as Codex 0.171 writes it, and what a store can do.

Other programs read and write the same document, so what we do not know in it is kept, key by key.
"""

from __future__ import annotations

import base64
import codecs
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

from accountd.codex.plans import PlanType, parse_plan
from accountd.errors import MalformedRecord
from accountd.files.read import MAX_FILE
from accountd.foreign_json import ABSENT, UNDECODABLE
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


def render_record(record: AuthRecord, *, compact: bool = False) -> bytes:
    """Write a record as the document, in the order and layout that Codex uses: `compact` is that of a keyring."""
    document: dict[str, Any] = {}
    if record.mode is not None:
        document["auth_mode"] = record.mode
    document["OPENAI_API_KEY"] = None if record.api_key is None else record.api_key.reveal()
    if record.chatgpt is not None:
        document["tokens"] = _render_tokens(record.chatgpt)
    if record.last_refresh is not None:
        document["last_refresh"] = record.last_refresh
    return msgspec.json.format(msgspec.json.encode(document | record.unknown.members), indent=-1 if compact else 2)


def _render_tokens(login: ChatgptLogin) -> dict[str, Any]:
    tokens: dict[str, Any] = {
        "id_token": login.tokens.id_token.reveal(),
        "access_token": login.tokens.access_token.reveal(),
        "refresh_token": login.tokens.refresh_token.reveal(),
    }
    if login.provenance is not None:
        given_by = login.provenance
        known = {"issuer": given_by.issuer, "client_id": given_by.client_id}
        tokens["oauth_provenance"] = known | given_by.unknown.members
    if login.login_owner_id is not None:
        tokens["login_owner_id"] = login.login_owner_id
    return tokens | {"account_id": login.account_id} | login.unknown.members


class _Provenance(msgspec.Struct):
    issuer: str
    client_id: str


class _Tokens(msgspec.Struct):
    id_token: str
    access_token: str
    refresh_token: str
    account_id: str | None = None
    login_owner_id: str | None = None
    oauth_provenance: _Provenance | None = None


class _Document(msgspec.Struct):
    auth_mode: str | None = None
    api_key: str | None = msgspec.field(name="OPENAI_API_KEY", default=None)
    tokens: _Tokens | None = None
    last_refresh: str | None = None


_Members = dict[str, msgspec.Raw]

_OTHER_CREDENTIALS: Final = ("personal_access_token", "bedrock_api_key", "bedrock_access_keys", "agent_identity")


def parse_record(document: bytes) -> AuthRecord:
    """Read a document that anybody may have written. Raises MalformedRecord."""
    document = document.removeprefix(codecs.BOM_UTF8)
    if len(document) > MAX_FILE:
        raise MalformedRecord(f"the document is larger than {MAX_FILE} bytes, and so no credential")
    try:
        document.decode()  # msgspec looks at no text that it skips
        known = msgspec.json.decode(document, type=_Document)
        members = msgspec.json.decode(document, type=_Members)
        login = _parse_login(known.tokens, members["tokens"]) if known.tokens is not None else None
    except (*UNDECODABLE, MalformedToken):
        raise MalformedRecord("the document is not a credential that Codex could have written") from None
    mode = _parse_mode(known, members)
    _check_carried(mode, known)
    unknown = _unknown(members, _Document)
    if mode is None and known.auth_mode is not None:  # else it would come back as a credential that can be used
        unknown.members["auth_mode"] = members["auth_mode"]
    return AuthRecord(
        mode=mode,
        api_key=None if known.api_key is None else Secret(known.api_key),
        chatgpt=login,
        last_refresh=known.last_refresh,
        unknown=unknown,
    )


def _parse_login(tokens: _Tokens, document: msgspec.Raw) -> ChatgptLogin:
    members = msgspec.json.decode(document, type=_Members)
    id_token = Secret(tokens.id_token)
    provenance = None
    if (given_by := tokens.oauth_provenance) is not None:
        unknown = _unknown(msgspec.json.decode(members["oauth_provenance"], type=_Members), _Provenance)
        provenance = Provenance(given_by.issuer, given_by.client_id, unknown)
    return ChatgptLogin(
        TokenSet(id_token, Secret(tokens.access_token), Secret(tokens.refresh_token)),
        parse_claims(id_token),
        tokens.account_id,
        tokens.login_owner_id,
        provenance,
        _unknown(members, _Tokens),
    )


def _parse_mode(known: _Document, members: dict[str, msgspec.Raw]) -> Mode | None:
    """Find which credential of the document counts. Without `auth_mode`, an API key goes before tokens."""
    if known.auth_mode is None and any(members.get(other, ABSENT) != ABSENT for other in _OTHER_CREDENTIALS):
        return None
    if known.auth_mode in (None, "apikey") and known.api_key is not None:
        return "apikey"
    if known.auth_mode in (None, "chatgpt") and known.tokens is not None:
        return "chatgpt"
    return None


def _check_carried(mode: Mode | None, known: _Document) -> None:
    """Raise MalformedRecord if no request could be made with the credential that counts."""
    try:
        if mode == "apikey":
            check_token("the API key in the document", Secret(known.api_key or ""))
        elif mode == "chatgpt" and known.tokens is not None:
            check_token("the access token in the document", Secret(known.tokens.access_token))
            check_id("the account id in the document", known.tokens.account_id or "")
    except Uncarried as error:
        raise MalformedRecord(str(error)) from None


def _unknown(members: dict[str, msgspec.Raw], known: type[msgspec.Struct]) -> Unknown:
    """Keep the members that a type does not have, apart from their document, and alike however it was laid out."""
    others = {key: value for key, value in members.items() if key not in known.__struct_encode_fields__}
    return Unknown({key: msgspec.Raw(msgspec.json.format(value, indent=-1)) for key, value in others.items()})
