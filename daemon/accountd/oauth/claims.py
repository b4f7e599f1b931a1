"""The claims inside a token, read once, when the token comes in.

The issuer's JWTs are read, never trusted: they arrive from the issuer over TLS, and a signature check would
add nothing to that (OpenID Connect Core 3.1.3.7, point 6). Codex reads them the same way.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import msgspec

from accountd.codex.plans import PlanType, parse_plan
from accountd.foreign_json import ABSENT, decode, read_member

if TYPE_CHECKING:
    from accountd.secret import Secret

MAX_CLAIMS: Final = 16 << 10
"""Bytes of the claims of a token. Those of a person in ten organisations are four kilobytes."""

_LAST_MOMENT: Final = 253_402_300_799  # of the year 9999, the last that a datetime can be in


class Claims(msgspec.Struct, frozen=True):
    """What a token says about its person and workspace, and of itself.

    `is_fedramp`: the workspace is the government's, and some requests are not made for it. `expires_at` is in Unix
    seconds; None if it names no time that a calendar has (RFC 7519 section 4.1.4).
    """

    email: str | None
    plan: PlanType
    user_id: str | None
    account_id: str | None
    is_fedramp: bool = False
    expires_at: float | None = None


class MalformedToken(ValueError):
    """The text is no JWT with a readable payload, which is told in Codex's words; or it has more than is read."""

    def __init__(self, complaint: str = "invalid ID token format") -> None:
        super().__init__(complaint)


class _Payload(msgspec.Struct):
    email: msgspec.Raw = ABSENT
    exp: msgspec.Raw = ABSENT
    auth: msgspec.Raw = msgspec.field(default=ABSENT, name="https://api.openai.com/auth")
    profile: msgspec.Raw = msgspec.field(default=ABSENT, name="https://api.openai.com/profile")


class _Auth(msgspec.Struct):
    chatgpt_plan_type: msgspec.Raw = ABSENT
    chatgpt_user_id: msgspec.Raw = ABSENT
    user_id: msgspec.Raw = ABSENT
    chatgpt_account_id: msgspec.Raw = ABSENT
    chatgpt_account_is_fedramp: msgspec.Raw = ABSENT


class _Profile(msgspec.Struct):
    email: msgspec.Raw = ABSENT


def parse_claims(jwt: Secret) -> Claims:
    """Read the claims of a JWT. Raises MalformedToken; those of the wrong type, and empty ones, count as absent."""
    payload = _parse_payload(jwt)
    auth = read_member(payload.auth, _Auth) or _Auth()
    profile = read_member(payload.profile, _Profile) or _Profile()
    return Claims(
        email=read_member(payload.email, str) or read_member(profile.email, str) or None,
        plan=parse_plan(read_member(auth.chatgpt_plan_type, str)),
        user_id=read_member(auth.chatgpt_user_id, str) or read_member(auth.user_id, str) or None,
        account_id=read_member(auth.chatgpt_account_id, str) or None,
        is_fedramp=read_member(auth.chatgpt_account_is_fedramp, bool) is True,
        expires_at=_find_time(read_member(payload.exp, float)),
    )


def read_claims(jwt: Secret) -> Claims | None:
    """Read the claims of what may be a JWT, as an access token is; None for one that cannot be read."""
    try:
        return parse_claims(jwt)
    except MalformedToken:
        return None


def _parse_payload(jwt: Secret) -> _Payload:
    """Decode the middle of the three parts of a JWT (RFC 7519 section 7.2). Raises MalformedToken."""
    parts = jwt.reveal().split(".")
    if len(parts) != 3 or not all(parts):
        raise MalformedToken
    if len(parts[1]) * 3 // 4 > MAX_CLAIMS:
        raise MalformedToken(f"what the token says is longer than {MAX_CLAIMS} bytes")
    try:
        text = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        return decode(text, _Payload)
    except ValueError:
        raise MalformedToken from None  # the cause may quote the payload, which is personal data


def _find_time(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds <= _LAST_MOMENT else None
