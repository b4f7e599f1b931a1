"""The backend's endpoints under `/backend-api`, for whoever has a good access token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from accountd.foreign_json import UNDECODABLE
from accountd.sandbox.message import (
    Refused,
    Request,
    Response,
    need,
    parse_fields,
    render_coded_error,
    render_json,
    render_oauth_error,
)
from accountd.secret import Secret

if TYPE_CHECKING:
    from accountd.sandbox.script import Claims
    from accountd.sandbox.state import IssuedToken, State

_FIVE_HOURS: Final = 5 * 3600
_WEEK: Final = 7 * 86_400


def read_usage(state: State, request: Request) -> Response:
    """GET /backend-api/wham/usage: a five-hour window and a week, as used as they always are here."""
    claims = _authenticate(state, request)
    return render_json(
        200,
        {
            "user_id": claims.user_id,
            "account_id": claims.account_id,
            "email": claims.email,
            "plan_type": claims.plan,
            "rate_limit": {
                "allowed": True,
                "limit_reached": False,
                **_windows(state),
            },
            "credits": {"has_credits": False, "unlimited": False, "balance": None},
            "rate_limit_reset_credits": {"available_count": 1},
        },
    )


def read_reset_credits(state: State, request: Request) -> Response:
    """GET /backend-api/wham/rate-limit-reset-credits: one credit, which is always there."""
    _authenticate(state, request)
    credit = {
        "id": "reset-credit-sandbox",
        "reset_type": "codex_rate_limits",
        "status": "available",
        "granted_at": "2026-01-01T00:00:00Z",
        "expires_at": None,
        "title": "One reset",
        "description": "Granted by the sandbox",
    }
    return render_json(200, {"available_count": 1, "credits": [credit]})


def consume_reset_credit(state: State, request: Request) -> Response:
    """POST /backend-api/wham/rate-limit-reset-credits/consume: no window here is ever used up, so nothing is."""
    _authenticate(state, request)
    need(parse_fields(request), "redeem_request_id")
    return render_json(200, {"code": "nothing_to_reset", "windows_reset": 0})


def read_profile(state: State, request: Request) -> Response:
    """GET /backend-api/wham/profiles/me: what was used in two days of an imaginary year."""
    _authenticate(state, request)
    days = [{"start_date": "2026-01-01", "tokens": 1200}, {"start_date": "2026-01-02", "tokens": 3400}]
    stats = {
        "lifetime_tokens": 4600,
        "peak_daily_tokens": 3400,
        "longest_running_turn_sec": 90,
        "current_streak_days": 2,
        "longest_streak_days": 2,
        "daily_usage_buckets": days,
    }
    return render_json(200, {"stats": stats})


class _ThreadsQuery(msgspec.Struct):
    thread_ids: list[str]


def read_thread_usage(state: State, request: Request) -> Response:
    """POST /backend-api/wham/usage/thread_usage/query: no thread has cost anything."""
    _authenticate(state, request)
    try:
        query = msgspec.json.decode(request.body, type=_ThreadsQuery)
    except UNDECODABLE:
        raise Refused(render_oauth_error("invalid_request", "thread_ids is not a list of ids")) from None
    threads = [
        {"thread_id": thread_id, "estimated_usage_credits_micros": 0, "groups": []}
        for thread_id in query.thread_ids
    ]
    return render_json(200, {"threads": threads})


def read_messages(state: State, request: Request) -> Response:
    """GET /backend-api/wham/workspace-messages: one, so that a client has something to show."""
    claims = _authenticate(state, request)
    message = {
        "message_id": "message-sandbox",
        "message_type": "headline",
        "message_body": f"Welcome to {claims.workspace_name or 'the sandbox'}",
        "created_at": "2026-01-01T00:00:00Z",
        "archived_at": None,
    }
    return render_json(200, {"messages": [message]})


def send_nudge(state: State, request: Request) -> Response:
    """POST /backend-api/wham/accounts/send_add_credits_nudge_email: nobody here gets an email."""
    _authenticate(state, request)
    need(parse_fields(request), "credit_type")
    return render_json(200, {})


def read_security_setup(state: State, request: Request) -> Response:
    """GET /backend-api/wham/security-setup: there is nothing to remind of."""
    _authenticate(state, request)
    return render_json(200, {"notice": None})


def render_limit_headers(state: State) -> dict[str, str]:
    """Write the same rate limits as headers, which is how the model tells of them."""
    return {
        f"x-codex-{name.removesuffix('_window')}-{what}": str(value)
        for name, window in _windows(state).items()
        for what, value in (
            ("used-percent", window["used_percent"]),
            ("window-minutes", window["limit_window_seconds"] // 60),
            ("reset-at", window["reset_at"]),
        )
    }


def _windows(state: State) -> dict[str, dict[str, int]]:
    return {
        "primary_window": _window(state, used_percent=42, length=_FIVE_HOURS, left=2 * 3600),
        "secondary_window": _window(state, used_percent=7, length=_WEEK, left=3 * 86_400),
    }


def _window(state: State, *, used_percent: int, length: int, left: int) -> dict[str, int]:
    return {
        "used_percent": used_percent,
        "limit_window_seconds": length,
        "reset_after_seconds": left,
        "reset_at": int(state.now()) + left,
    }


def authenticate_for_model(state: State, request: Request) -> str:
    """Say who asks the model: the email of an account, or that it is an API key, of any kind. Raises Refused."""
    if request.headers.get("authorization", "").startswith("Bearer sk-"):
        return "an API key"
    return _authenticate(state, request).email


def authenticate(state: State, request: Request) -> IssuedToken:
    """Return the bearer token. Raises Refused; another account's id in the headers is refused too."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    token = state.find_access_token(Secret(text.strip())) if scheme.lower() == "bearer" else None
    if token is None:
        raise Refused(render_coded_error(401, "token_expired", "The access token is unknown, revoked or expired."))
    if request.headers.get("chatgpt-account-id", token.claims.account_id) != token.claims.account_id:
        raise Refused(render_coded_error(403, "account_mismatch", "ChatGPT-Account-Id is not the token's account."))
    return token


def _authenticate(state: State, request: Request) -> Claims:
    """Return the claims of the bearer token, likewise."""
    return authenticate(state, request).claims
