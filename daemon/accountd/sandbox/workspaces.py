"""The workspaces of a person, at the backend: which there are, and a token for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from accountd.sandbox.backend import authenticate
from accountd.sandbox.message import Request, Response, need, parse_fields, render_coded_error, render_json
from accountd.sandbox.script import Workspace

if TYPE_CHECKING:
    from accountd.sandbox.script import Claims
    from accountd.sandbox.state import IssuedToken, State

_PERSONAL_PLANS: Final = ("free", "go", "plus", "pro", "prolite", "promax")


def check_accounts(state: State, request: Request) -> Response:
    """GET /backend-api/wham/accounts/check: the workspaces of the account's person."""
    token = authenticate(state, request)
    accounts = [_describe(each, is_own=each.account_id == token.claims.account_id) for each in _list(state, token)]
    ids = [account["id"] for account in accounts]
    return render_json(200, {"accounts": accounts, "account_ordering": ids, "default_account_id": ids[0]})


def switch_token(state: State, request: Request) -> Response:
    """POST /backend-api/accounts/switch-workspace-token: an access token of the login for another one."""
    token = authenticate(state, request)
    wanted = need(parse_fields(request), "workspace_id")
    found = next((each for each in _list(state, token) if each.account_id == wanted), None)
    if found is None or found.deactivated or found.government:
        return render_coded_error(403, "workspace_unavailable", "The person cannot have this workspace.")
    if found.sign_in and found.account_id != token.claims.account_id:
        return render_coded_error(403, "sign_in_required", "This workspace wants a sign-in of its own.")
    switched = state.issue_access_token(token.grant, found.claims_of(token.claims), request.origin)
    return render_json(200, {"access_token": switched.reveal()})


def _list(state: State, token: IssuedToken) -> list[Workspace]:
    """List the person's workspaces, their first one first: that of the script, or of an older one, of the token."""
    others, claims = state.script.workspaces, token.claims
    if any(each.account_id == claims.account_id for each in others):
        claims = state.script.claims
    return [_first(claims), *(each for each in others if each.account_id != claims.account_id)]


def _first(claims: Claims) -> Workspace:
    return Workspace(account_id=claims.account_id, name=claims.workspace_name, plan=claims.plan)


def _describe(workspace: Workspace, *, is_own: bool) -> dict[str, Any]:
    return {
        "id": workspace.account_id,
        "name": workspace.name,
        "structure": "personal" if workspace.plan in _PERSONAL_PLANS else "workspace",
        "plan_type": workspace.plan,
        "profile_picture_url": None,
        "workspace_backend_origin": "NO_CONSTRAINT",
        "account_routing_override": "NO_CONSTRAINT",
        "is_deactivated": workspace.deactivated,
        "is_fedramp_compliant_workspace": workspace.government,
        "can_access_with_session": is_own or not workspace.sign_in,
        "sso_connection_name": workspace.sso_connection,
    }
