"""`/sandbox`: the page of a person who plays along. Who waits for them, what to make go wrong, what was asked."""

from __future__ import annotations

from accountd.sandbox import pages
from accountd.sandbox.message import Refused, Request, Response, need, parse_fields, render_oauth_error
from accountd.sandbox.state import State
from accountd.sandbox.switches import BY_NAME, SWITCHES

_PATH = "/sandbox"


def show(state: State, request: Request) -> Response:  # noqa: ARG001  # as every endpoint
    """GET /sandbox."""
    switches = {
        group: [(switch.name, switch.says, switch.is_on(state.script, state.has_happened)) for switch in switches]
        for group, switches in SWITCHES.items()
    }
    return pages.render_panel(state.waiting(), switches, state.requests, state.now())


def decide(state: State, request: Request) -> Response:
    """POST /sandbox/decision: as at `/codex/device`, but back to the page."""
    fields = parse_fields(request)
    login = state.find_login(need(fields, "user_code"))
    if login is not None:  # else, or where it is over, the page says what there is by now
        state.decide(login, approve=fields.get("decision") == "approve")
    return pages.render_seen(_PATH)


def flip(state: State, request: Request) -> Response:
    """POST /sandbox/switch: have something go wrong, or no more. Raises Refused for a switch that is none."""
    switch = BY_NAME.get(need(parse_fields(request), "name"))
    if switch is None:
        raise Refused(render_oauth_error("invalid_request", f"name is one of {', '.join(BY_NAME)}"))
    state.change_script(switch.flip(state.script, state.has_happened))
    return pages.render_seen(_PATH)
