"""Records of logins, and what refreshes make of them, without an issuer."""

from __future__ import annotations

from accountd.oauth.claims import parse_claims
from accountd.oauth.refresh import Refreshed
from accountd.oauth.tokens import TokenSet
from accountd.secret import Secret
from accountd.storage.base import AuthRecord, Provenance, chatgpt_record, refreshed_record
from fakes.usage import make_jwt

_BEGUN = 1_795_351_305_812_286_324


def log_in(user: str = "user-1", account: str = "acct-1") -> AuthRecord:
    """Make the record of a new login."""
    id_token = make_jwt(chatgpt_account_id=account, chatgpt_user_id=user)
    tokens = TokenSet(id_token, Secret("at-0"), Secret("rt-0"))
    return chatgpt_record(tokens, parse_claims(id_token), Provenance("https://i.example", "app"), _BEGUN)


def refresh(record: AuthRecord, seconds: int = 60) -> AuthRecord:
    """Make what a refresh makes of it, so long after the login."""
    assert record.chatgpt is not None
    tokens = Refreshed(None, Secret(f"at-{seconds}"), Secret(f"rt-{seconds}"))
    return refreshed_record(record, record.chatgpt, tokens, _BEGUN + seconds * 10**9)
