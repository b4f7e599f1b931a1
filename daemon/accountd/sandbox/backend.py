"""The backend's endpoints under `/backend-api`, for whoever has a good access token (protocol note 3.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from accountd.sandbox.message import Refused, Request, Response, render_coded_error, render_json
from accountd.secret import Secret

if TYPE_CHECKING:
    from accountd.sandbox.script import Claims
    from accountd.sandbox.state import State

_PERSONAL_PLANS: Final = ("free", "go", "plus", "pro", "prolite", "promax")
_FIVE_HOURS: Final = 5 * 3600
_WEEK: Final = 7 * 86_400


def check_accounts(state: State, request: Request) -> Response:
    """GET /backend-api/wham/accounts/check: the workspaces of the account, here always one."""
    claims = _authenticate(state, request)
    account: dict[str, Any] = {
        "id": claims.account_id,
        "name": claims.workspace_name,
        "structure": "personal" if claims.plan in _PERSONAL_PLANS else "workspace",
        "plan_type": claims.plan,
        "profile_picture_url": None,
        "workspace_backend_origin": "NO_CONSTRAINT",
        "account_routing_override": "NO_CONSTRAINT",
        "is_deactivated": False,
    }
    return render_json(
        200,
        {
            "accounts": [account],
            "account_ordering": [claims.account_id],
            "default_account_id": claims.account_id,
        },
    )


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
                "primary_window": _window(state, used_percent=42, length=_FIVE_HOURS, left=2 * 3600),
                "secondary_window": _window(state, used_percent=7, length=_WEEK, left=3 * 86_400),
            },
            "credits": {"has_credits": False, "unlimited": False, "balance": None},
        },
    )


def _window(state: State, *, used_percent: int, length: int, left: int) -> dict[str, int]:
    return {
        "used_percent": used_percent,
        "limit_window_seconds": length,
        "reset_after_seconds": left,
        "reset_at": int(state.now()) + left,
    }


def _authenticate(state: State, request: Request) -> Claims:
    """Give the claims of the bearer token. Raises Refused; another account's id in the headers is refused too."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    token = state.find_access_token(Secret(text.strip())) if scheme.lower() == "bearer" else None
    if token is None:
        raise Refused(render_coded_error(401, "token_expired", "The access token is unknown, revoked or expired."))
    if request.headers.get("chatgpt-account-id", token.claims.account_id) != token.claims.account_id:
        raise Refused(render_coded_error(403, "account_mismatch", "ChatGPT-Account-Id is not the token's account."))
    return token.claims
