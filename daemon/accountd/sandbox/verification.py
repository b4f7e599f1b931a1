"""The person's side of a device login: `/codex/device`, where a code is typed and then approved or denied."""

from __future__ import annotations

from accountd.sandbox import pages
from accountd.sandbox.message import Request, Response, parse_fields
from accountd.sandbox.state import DeviceLogin, State, Status


def show_form(state: State, request: Request) -> Response:  # noqa: ARG001  # as every endpoint
    """GET /codex/device."""
    return pages.render_enter()


def find_code(state: State, request: Request) -> Response:
    """POST /codex/device: a code was typed; ask for the decision."""
    login = _find(state, request)
    return login if isinstance(login, Response) else pages.render_decide(login, state.script.claims)


def decide(state: State, request: Request) -> Response:
    """POST /codex/device/decision: the person approved; whatever else the form says is no approval."""
    login = _find(state, request)
    if isinstance(login, Response):
        return login
    approve = parse_fields(request).get("decision") == "approve"
    state.decide(login, approve=approve)
    return pages.render_approved() if approve else pages.render_denied()


def _find(state: State, request: Request) -> DeviceLogin | Response:
    """Find the login that waits for this code, or give the page that says why there is none."""
    typed = parse_fields(request).get("user_code", "")[:64].strip()
    login = state.find_login(typed)
    if login is None:
        return pages.render_enter(typed, "No login is waiting for this code. Look at it again, and at each letter.")
    match login.status:
        case Status.WAITING:
            return login
        case Status.EXPIRED:
            return pages.render_expired()
        case Status.APPROVED | Status.DENIED:
            return pages.render_used()
