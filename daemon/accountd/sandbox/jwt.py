"""The tokens that the sandbox issues: JWTs with the issuer's claims, and visibly without a signature."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec

from accountd.secret import Secret

if TYPE_CHECKING:
    from accountd.sandbox.script import Claims

_NO_SIGNATURE: Final = b"accountd-sandbox-signs-nothing"
"""Clients want a third part that is not empty; whoever verifies it is told by `alg` that there is nothing to."""


def render_id_token(claims: Claims, issuer: str, client_id: str, now: int, expires: float) -> Secret:
    """Write an ID token. Times are Unix seconds."""
    return _render(_payload(claims, issuer, now, expires) | {"aud": [client_id]})


def render_access_token(claims: Claims, issuer: str, client_id: str, now: int, expires: float) -> Secret:
    """Write an access token. Times are Unix seconds."""
    audience = {"aud": ["https://api.openai.com/v1"], "client_id": client_id}
    return _render(_payload(claims, issuer, now, expires) | audience)


def is_of_sandbox(document: bytes) -> bool:
    """Return True if the tokens in a stored document are of a sandbox, whichever that was."""
    return base64.urlsafe_b64encode(_NO_SIGNATURE).rstrip(b"=") in document


def _payload(claims: Claims, issuer: str, now: int, expires: float) -> dict[str, Any]:
    return {
        "iss": issuer,
        "sub": f"sandbox|{claims.user_id}",
        "iat": now,
        "exp": int(expires),
        "jti": secrets.token_urlsafe(16),  # also what makes the token one that cannot be guessed
        "email": claims.email,
        "email_verified": True,
        "https://api.openai.com/profile": {"email": claims.email, "email_verified": True},
        "https://api.openai.com/auth": {
            "chatgpt_account_id": claims.account_id,
            "chatgpt_plan_type": claims.plan,
            "chatgpt_user_id": claims.user_id,
            "user_id": claims.user_id,
        },
    }


def _render(payload: dict[str, Any]) -> Secret:
    header = msgspec.json.encode({"alg": "none", "typ": "JWT"})
    parts = (header, msgspec.json.encode(payload), _NO_SIGNATURE)
    return Secret(".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts))
