"""The document that a record is stored as: `auth.json`, as Codex 0.171 writes it, read and written.

Other programs read and write it as well, so what we do not know in it is kept, key by key.
"""

from __future__ import annotations

import codecs
from typing import Any, Final

import msgspec

from accountd.errors import MalformedRecord
from accountd.files.read import MAX_FILE
from accountd.foreign_json import ABSENT, UNDECODABLE
from accountd.oauth.claims import MalformedToken, parse_claims
from accountd.oauth.fields import Uncarried, check_id, check_token
from accountd.oauth.tokens import TokenSet
from accountd.secret import Secret
from accountd.storage.base import AuthRecord, ChatgptLogin, Mode, Provenance, Unknown


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
