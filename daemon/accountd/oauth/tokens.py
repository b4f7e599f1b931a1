"""Token sets, the claims inside them, and what the token endpoint answers.

The issuer's JWTs are read, never trusted: they arrive from the issuer over TLS, and a signature check would
add nothing to that (OpenID Connect Core 3.1.3.7, point 6). Codex reads them the same way.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec

from accountd.errors import RemoteRefused, describe_status
from accountd.oauth.fields import Uncarried, check_token
from accountd.redaction import quote
from accountd.secret import Secret

PlanType = Literal[
    "free",
    "go",
    "plus",
    "pro",
    "prolite",
    "promax",
    "team",
    "self_serve_business_prolite",
    "self_serve_business_usage_based",
    "business",
    "ent26",
    "enterprise_cbp_automation",
    "enterprise_cbp_usage_based",
    "enterprise",
    "edu",
    "edu_plus",
    "edu_pro",
    "sci",
    "sci_plus",
    "unknown",
]
"""The plans that a client may be told of."""

_PLANS: dict[str | None, PlanType] = {plan: plan for plan in get_args(PlanType)}
_PLANS |= {"hc": "enterprise", "education": "edu"}
_AUTH = "https://api.openai.com/auth"
_PROFILE = "https://api.openai.com/profile"


class Claims(msgspec.Struct, frozen=True):
    """What a token says about its person and workspace.

    `is_fedramp`: the workspace is the government's, and some requests are not made for it.
    """

    email: str | None
    plan: PlanType
    user_id: str | None
    account_id: str | None
    is_fedramp: bool = False


class TokenSet(msgspec.Struct, frozen=True):
    """What one login, or one refresh, got from the issuer."""

    id_token: Secret
    access_token: Secret
    refresh_token: Secret


class MalformedToken(ValueError):
    """The text is not a JWT with a readable payload. The message is Codex's."""

    def __init__(self) -> None:
        super().__init__("invalid ID token format")


def parse_claims(jwt: Secret) -> Claims:
    """Read the claims of a JWT. Raises MalformedToken; claims of the wrong type count as absent."""
    payload = parse_payload(jwt)
    auth, profile = _dict(payload.get(_AUTH)), _dict(payload.get(_PROFILE))
    return Claims(
        email=_text(payload.get("email")) or _text(profile.get("email")),
        plan=parse_plan(_text(auth.get("chatgpt_plan_type"))),
        user_id=_text(auth.get("chatgpt_user_id")) or _text(auth.get("user_id")),
        account_id=_text(auth.get("chatgpt_account_id")),
        is_fedramp=auth.get("chatgpt_account_is_fedramp") is True,
    )


def parse_payload(jwt: Secret) -> dict[str, Any]:
    """Decode the middle of the three parts of a JWT (RFC 7519 section 7.2). Raises MalformedToken."""
    parts = jwt.reveal().split(".")
    if len(parts) != 3 or not all(parts):
        raise MalformedToken
    try:
        text = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        payload = msgspec.json.decode(text)
    except (binascii.Error, ValueError, RecursionError):
        raise MalformedToken from None  # the cause may quote the payload, which is personal data
    if not isinstance(payload, dict):
        raise MalformedToken
    return payload


def parse_plan(claim: str | None) -> PlanType:
    """Name the plan as clients know it; a name that they could not know is `unknown`. Case counts, as in Codex."""
    return _PLANS.get(claim, "unknown")


_Token = Annotated[str, msgspec.Meta(min_length=1)]
_ResponseT = TypeVar("_ResponseT", bound=msgspec.Struct)


class _TokenResponse(msgspec.Struct):
    id_token: _Token
    access_token: _Token
    refresh_token: _Token


def parse_token_response(status: int, body: bytes) -> TokenSet:
    """Read the answer to a code exchange (RFC 6749 sections 5.1 and 5.2). Raises RemoteRefused."""
    answer = _parse_response(status, body, _TokenResponse)
    tokens = TokenSet(Secret(answer.id_token), Secret(answer.access_token), Secret(answer.refresh_token))
    _check_given("the ID token", tokens.id_token)
    _check_given("the access token", tokens.access_token)
    _check_given("the refresh token", tokens.refresh_token)
    return tokens


class _ApiKeyResponse(msgspec.Struct):
    access_token: _Token


def parse_api_key_response(status: int, body: bytes) -> Secret:
    """Read the answer to an exchange for an API key (RFC 8693 section 2.2). Raises RemoteRefused."""
    key = Secret(_parse_response(status, body, _ApiKeyResponse).access_token)
    _check_given("the API key", key)
    return key


def _check_given(name: str, token: Secret) -> None:
    try:
        check_token(name, token)
    except Uncarried as error:
        raise RemoteRefused(f"what the issuer gave cannot be used: {error}", 0) from None


def _parse_response(status: int, body: bytes, wanted: type[_ResponseT]) -> _ResponseT:
    if not 200 <= status < 300:
        raise RemoteRefused(
            f"token endpoint returned status {describe_status(status)}: {describe_oauth_error(body)}",
            status,
        )
    try:
        return msgspec.json.decode(body, type=wanted)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise RemoteRefused("OAuth token response is invalid", 0) from None  # the cause may quote a token


def describe_oauth_error(body: bytes) -> str:
    """Quote the words of an error answer: its description, message or code. Nothing else of a body is ever told."""
    answer = _decode(body)
    if isinstance(answer, dict):
        error = answer.get("error")
        nested = _dict(error)
        for candidate in (
            answer.get("error_description"),
            nested.get("message"),
            answer.get("detail"),
            error,
            nested.get("code"),
        ):
            if isinstance(candidate, str) and (words := quote(candidate)):
                return words
    return f"an answer of {len(body)} bytes that is not understood" if body.strip() else "unknown error"


def parse_oauth_error_code(body: bytes) -> str | None:
    """Find the machine-readable code of an error answer: `error.code`, else a string `error`, else `code`."""
    answer = _dict(_decode(body))
    error = answer.get("error")
    code = _text(_dict(error).get("code")) or _text(error) or _text(answer.get("code"))
    return code.lower() if code else None


def _decode(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
