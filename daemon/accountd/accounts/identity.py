"""Who an account is, and which login of it a record has.

An account is a person of an issuer in a workspace. Neither an email will do, which several workspaces share, nor a
workspace, in which several persons have seats: whoever went by one of them has overwritten one account by another.
An API key says nothing of its owner, so that each is an account by itself, known by a digest.

A session is one login, however often its tokens are refreshed, or exchanged for those of another workspace: then
the account is another one, and the login is the same. Codex calls it `login_owner_id`; older releases write none.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Container

    from accountd.storage.base import AuthRecord

_ID_LENGTH: Final = 6


class Identity(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Who an account is. `key_digest` is that of an API key, which is all that is known of its owner."""

    issuer: str | None = None
    user_id: str | None = None
    workspace_id: str | None = None
    key_digest: str | None = None

    def is_same(self, other: Identity) -> bool:
        """Return True if both are the same account, as far as each says; an old record names no issuer."""
        if self.key_digest is not None or other.key_digest is not None:
            return self.key_digest == other.key_digest
        return (
            self.workspace_id == other.workspace_id
            and _agree(self.user_id, other.user_id)
            and _agree(self.issuer, other.issuer)
        )


def _agree(one: str | None, other: str | None) -> bool:
    return one == other or None in (one, other)


def identify(record: AuthRecord | None) -> Identity | None:
    """Return whose a record is; None for one that accountd cannot use."""
    if record is None or record.mode not in ("apikey", "chatgpt"):
        return None
    if record.mode == "apikey":
        key = record.api_key.reveal() if record.api_key is not None else ""
        return Identity(key_digest=hashlib.sha256(key.encode()).hexdigest()[:16])
    login = record.chatgpt
    if login is None:
        return None
    issuer = login.provenance.issuer if login.provenance is not None else None
    return Identity(issuer, login.user_id, login.account_id)


def find_session(record: AuthRecord) -> str | None:
    """Return the name of the login that a record has; None if it says none."""
    return record.chatgpt.login_owner_id if record.mode == "chatgpt" and record.chatgpt is not None else None


def is_same_login(one: AuthRecord, other: AuthRecord) -> bool:
    """Return True if two records have the same login; where one names none, if they are of the same account."""
    sessions = find_session(one), find_session(other)
    if None not in sessions:
        return sessions[0] == sessions[1]
    whose = identify(one), identify(other)
    return whose[0] is not None and whose[1] is not None and whose[0].is_same(whose[1])


def make_id(identity: Identity, taken: Container[str]) -> str:
    """Make the id of an account: the same for the same account, as long as no other has it.

    So somebody with one account has an id that scripts can rely on, and no file in which it stands.
    """
    digest = hashlib.sha256(msgspec.json.encode(identity)).digest()
    letters = base64.b32encode(digest).decode().lower().rstrip("=")
    ids = (letters[start : start + _ID_LENGTH] for start in range(len(letters) - _ID_LENGTH + 1))
    return next(each for each in ids if each not in taken)
