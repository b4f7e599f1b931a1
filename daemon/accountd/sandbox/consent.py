"""The person's side of a browser login: `/oauth/authorize`, where what an app asks for is approved or denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accountd.sandbox import pages
from accountd.sandbox.authorization import (
    AuthorizationRequest,
    BadParameter,
    parse_authorization,
    parse_query,
    render_redirect,
)
from accountd.sandbox.message import Request, Response, parse_fields

if TYPE_CHECKING:
    from accountd.sandbox.script import Authorize
    from accountd.sandbox.state import State

_ERRORS: Final[dict[Authorize, dict[str, str]]] = {
    "deny": {"error": "access_denied", "error_description": "The person denied the login."},
    "not_entitled": {
        "error": "access_denied",
        "error_description": "missing_codex_entitlement: this workspace has no access to Codex.",
    },
    "no_code": {},
    "server_error": {"error": "server_error", "error_description": "The script of the sandbox asked for this."},
}
"""The answers without a code (RFC 6749 section 4.1.2.1)."""


def ask(state: State, request: Request) -> Response:
    """GET /oauth/authorize: ask the person, unless the script has decided.

    The issuer offers only the allowed workspaces; here it is the first of those, and if the person has none, the
    page says so. Nobody is stopped by that, nor is a script that approves: whether the app checks for itself is to
    be seen.
    """
    try:
        asked = parse_authorization(parse_query(request.query))
    except BadParameter as error:
        return pages.render_bad_parameter(error)
    if state.script.authorize != "ask":
        return _answer(state, asked, state.script.authorize)
    claims = state.script.claims_in(asked.workspaces)
    if asked.workspaces and claims.account_id not in asked.workspaces:
        return pages.render_wrong_workspace(asked, claims)
    return pages.render_consent(asked, claims)


def decide(state: State, request: Request) -> Response:
    """POST /oauth/authorize/decision: the person approved; whatever else the form says is no approval."""
    fields = parse_fields(request)
    try:
        asked = parse_authorization(fields)
    except BadParameter as error:
        return pages.render_bad_parameter(error)
    return _answer(state, asked, "approve" if fields.get("decision") == "approve" else "deny")


def _answer(state: State, asked: AuthorizationRequest, decision: Authorize) -> Response:
    if decision != "approve":
        return render_redirect(asked, _ERRORS[decision])
    code = state.issue_code(asked.client_id, asked.redirect_uri, asked.code_challenge, asked.workspaces)
    return render_redirect(asked, {"code": code.reveal()})
