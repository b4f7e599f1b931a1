"""The issuer's endpoints: device codes, tokens, revocation."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from accountd.oauth.pkce import challenge_of
from accountd.oauth.tokens import TokenSet
from accountd.sandbox.message import (
    Request,
    Response,
    need,
    parse_fields,
    render_coded_error,
    render_json,
    render_oauth_error,
)
from accountd.sandbox.state import Grant, State, Status
from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLBACK_PATH: Final = "/deviceauth/callback"
"""Where the redirect URI of a device login points; nothing is ever there."""

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1


def start_device_login(state: State, request: Request) -> Response:
    """POST /api/accounts/deviceauth/usercode."""
    if state.script.disabled:
        return render_coded_error(404, "not_found", "device code login is not enabled")
    device_auth_id, login = state.start_login(need(parse_fields(request), "client_id"))
    answer: dict[str, Any] = {
        "device_auth_id": device_auth_id.reveal(),
        "user_code": login.user_code,
        "expires_at": datetime.fromtimestamp(login.expires, UTC).isoformat(timespec="seconds"),
    }
    if state.script.interval is not None:
        answer["interval"] = state.script.interval
    return render_json(200, answer)


def poll_device_login(state: State, request: Request) -> Response:
    """POST /api/accounts/deviceauth/token. The issuer makes the PKCE verifier, and sends it with the code."""
    fields = parse_fields(request)
    login = state.poll_login(Secret(need(fields, "device_auth_id")), need(fields, "user_code"))
    if login is None:
        return render_oauth_error("invalid_grant", "no such device login, or another one's user code")
    match login.status:
        case Status.WAITING:
            return render_coded_error(403, "deviceauth_authorization_pending")
        case Status.DENIED:
            return render_oauth_error("access_denied", "the person denied the login", 403)
        case Status.EXPIRED:
            return render_oauth_error("expired_token", "the user code has expired", 403)
        case Status.APPROVED:
            approval = state.approve_login(login, request.origin + CALLBACK_PATH)
    if approval is None:
        return render_oauth_error("invalid_grant", "the code of this login has been used")
    return render_json(
        200,
        {
            "authorization_code": approval.code.reveal(),
            "code_challenge": challenge_of(approval.verifier),
            "code_verifier": approval.verifier.reveal(),
        },
    )


def give_tokens(state: State, request: Request) -> Response:
    """POST /oauth/token, for each of `_GRANT_TYPES`."""
    fields = parse_fields(request)
    grant_type = need(fields, "grant_type")
    answer = _GRANT_TYPES.get(grant_type)
    if answer is None:
        return render_oauth_error("unsupported_grant_type", f"known are: {', '.join(_GRANT_TYPES)}")
    return answer(state, fields, request.origin)


def _exchange_code(state: State, fields: Mapping[str, str], issuer: str) -> Response:
    wanted = {name: need(fields, name) for name in ("code", "client_id", "redirect_uri", "code_verifier")}
    code = state.take_code(Secret(wanted["code"]))
    if code is None:
        return render_oauth_error("invalid_grant", "the code is unknown, used or expired")
    if wanted["client_id"] != code.client_id:
        return render_oauth_error("invalid_grant", "the code was issued to another client_id")
    if wanted["redirect_uri"] != code.redirect_uri:
        return render_oauth_error("invalid_grant", f"redirect_uri must be {code.redirect_uri}")
    if not _VERIFIER.fullmatch(wanted["code_verifier"]):
        return render_oauth_error(
            "invalid_grant", "code_verifier must be 43 to 128 letters, digits or any of - . _ ~"
        )
    if not hmac.compare_digest(challenge_of(Secret(wanted["code_verifier"])), code.challenge):
        return render_oauth_error("invalid_grant", "code_verifier is not the challenge's")
    return _render_tokens(state, state.issue_tokens(Grant(code.client_id, code.workspaces), issuer))


def _refresh(state: State, fields: Mapping[str, str], issuer: str) -> Response:
    token = state.find_refresh_token(Secret(need(fields, "refresh_token")))
    if token is None or token.grant.revoked:
        return render_coded_error(401, "refresh_token_invalidated", "Your refresh token has been invalidated.")
    if token.spent:
        return render_coded_error(401, "refresh_token_reused", "Your refresh token has already been used.")
    if need(fields, "client_id") != token.grant.client_id:
        return render_oauth_error("invalid_grant", "the refresh token was issued to another client_id")
    token.spent = True
    return _render_tokens(state, state.issue_tokens(token.grant, issuer))


def _exchange_for_api_key(state: State, fields: Mapping[str, str], issuer: str) -> Response:  # noqa: ARG001  # as its siblings
    if fields.get("requested_token") != "openai-api-key":
        return render_oauth_error("invalid_request", "requested_token must be openai-api-key")
    if fields.get("subject_token_type") != "urn:ietf:params:oauth:token-type:id_token":
        return render_oauth_error("invalid_request", "subject_token_type must be that of an ID token")
    need(fields, "client_id")
    if state.find_id_token(Secret(need(fields, "subject_token"))) is None:
        return render_oauth_error("invalid_grant", "subject_token is no ID token that is good now")
    return render_json(200, {"access_token": "sk-sandbox-" + secrets.token_urlsafe(24), "token_type": "Bearer"})


def _render_tokens(state: State, tokens: TokenSet) -> Response:
    return render_json(
        200,
        {
            "id_token": tokens.id_token.reveal(),
            "access_token": tokens.access_token.reveal(),
            "refresh_token": tokens.refresh_token.reveal(),
            "token_type": "Bearer",
            "expires_in": int(state.script.token_lifetime),
        },
    )


_GRANT_TYPES: Final[dict[str, Callable[[State, Mapping[str, str], str], Response]]] = {
    "authorization_code": _exchange_code,
    "refresh_token": _refresh,
    "urn:ietf:params:oauth:grant-type:token-exchange": _exchange_for_api_key,
}


def revoke(state: State, request: Request) -> Response:
    """POST /oauth/revoke. An unknown token is no error (RFC 7009 section 2.2)."""
    state.revoke(Secret(need(parse_fields(request), "token")))
    return render_json(200, {})
