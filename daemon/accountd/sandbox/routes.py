"""THE table: every path that the sandbox answers; and `Sandbox`, which looks requests up in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
import trio

from accountd.config.settings import DEFAULT_CLIENT_ID
from accountd.sandbox import backend, consent, control, issuer, model, pages, panel, verification, workspaces
from accountd.sandbox.message import ConnectionDropped, Refused, Request, Response, render_json, render_oauth_error
from accountd.sandbox.script import Fault, Script
from accountd.sandbox.state import Event, Grant, LoggedRequest, State

if TYPE_CHECKING:
    from accountd.oauth.tokens import TokenSet


MAX_BODY: Final = 1024 * 1024
"""Bytes; but for prompts, the largest body that means anything here is a script."""


class Route(msgspec.Struct, frozen=True):
    """One method of one path. `guard` raises Refused for callers that may not; a body may have `longest` bytes."""

    method: str
    path: str
    answer: Callable[[State, Request], Response]
    says: str
    guard: Callable[[Request], None] = lambda _: None
    longest: int = MAX_BODY


class Group(msgspec.Struct, frozen=True):
    """Routes that belong together. Those of a group that is not `scripted` know no delay, no fault and no log."""

    name: str
    routes: tuple[Route, ...]
    scripted: bool = True


def _show_index(state: State, request: Request) -> Response:  # noqa: ARG001  # as every endpoint
    listed = {group.name: [(r.method, r.path, r.says) for r in group.routes if r.says] for group in GROUPS}
    return pages.render_index(request.origin, listed)


def _show_prompts(state: State, request: Request) -> Response:  # noqa: ARG001  # as every endpoint
    return pages.render_prompts(state.prompts)


_MODEL: Final = "/backend-api/codex"
_BACKEND: Final = "/backend-api/wham"
_SWITCH: Final = "/backend-api/accounts/switch-workspace-token"
_RESETS: Final = f"{_BACKEND}/rate-limit-reset-credits"

GROUPS: Final = (
    Group(
        "For people",
        (
            Route("GET", "/", _show_index, ""),
            Route("GET", "/codex/device", verification.show_form, "Type the code of a login; approve or deny it"),
            Route("POST", "/codex/device", verification.find_code, "", control.refuse_other_sites),
            Route("POST", "/codex/device/decision", verification.decide, "", control.refuse_other_sites),
            Route("GET", "/oauth/authorize", consent.ask, "Approve or deny a browser login, from its app's link"),
            Route("POST", "/oauth/authorize/decision", consent.decide, "", control.refuse_other_sites),
            Route("GET", "/model", _show_prompts, "See what the model was asked"),
        ),
    ),
    Group(
        "For people who play along",
        (
            Route("GET", "/sandbox", panel.show, "See who waits for you, and make things go wrong"),
            Route("POST", "/sandbox/decision", panel.decide, "", control.refuse_other_sites),
            Route("POST", "/sandbox/switch", panel.flip, "", control.refuse_other_sites),
        ),
        scripted=False,
    ),
    Group(
        "Issuer",
        (
            Route("POST", "/api/accounts/deviceauth/usercode", issuer.start_device_login, "Start a device login"),
            Route("POST", "/api/accounts/deviceauth/token", issuer.poll_device_login, "Ask if it is approved"),
            Route("POST", "/oauth/token", issuer.give_tokens, "Exchange a code, refresh, or get an API key"),
            Route("POST", "/oauth/revoke", issuer.revoke, "End a login"),
        ),
    ),
    Group(
        "Backend",
        (
            Route("GET", f"{_BACKEND}/accounts/check", workspaces.check_accounts, "The person's workspaces"),
            Route("POST", _SWITCH, workspaces.switch_token, "A token for another one of them"),
            Route("GET", f"{_BACKEND}/usage", backend.read_usage, "Its rate limits"),
            Route("GET", _RESETS, backend.read_reset_credits, "Its credits for resetting them"),
            Route("POST", f"{_RESETS}/consume", backend.consume_reset_credit, "Use such a credit"),
            Route("GET", f"{_BACKEND}/profiles/me", backend.read_profile, "What it has used over time"),
            Route("POST", f"{_BACKEND}/usage/thread_usage/query", backend.read_thread_usage, "And in one thread"),
            Route("GET", f"{_BACKEND}/workspace-messages", backend.read_messages, "What its workspace has to say"),
            Route(
                "POST",
                f"{_BACKEND}/accounts/send_add_credits_nudge_email",
                backend.send_nudge,
                "Ask the workspace's owner for credits",
            ),
            Route("GET", f"{_BACKEND}/security-setup", backend.read_security_setup, "What would make it safer"),
        ),
    ),
    Group(
        "Model",
        (
            Route("GET", f"{_MODEL}/models", model.list_models, "The one that there is"),
            Route(
                "POST", f"{_MODEL}/responses", model.answer, "What it says to a turn", longest=model.LONGEST_PROMPT
            ),
        ),
    ),
    Group(
        "Control",
        (
            Route("GET", "/sandbox/script", control.read_script, "What the sandbox does", control.refuse_web_pages),
            Route("POST", "/sandbox/script", control.change_script, "Change it", control.refuse_web_pages),
            Route("GET", "/sandbox/requests", control.read_requests, "What was asked", control.refuse_web_pages),
            Route("POST", "/sandbox/reset", control.reset, "Forget everything", control.refuse_web_pages),
        ),
        scripted=False,
    ),
)

_ROUTES: Final = {(route.path, route.method): route for group in GROUPS for route in group.routes}
_UNSCRIPTED: Final = {route.path for group in GROUPS if not group.scripted for route in group.routes}


class Sandbox:
    """An issuer and a backend without a socket: requests in, answers out.

    `now` gives the Unix time, by which codes and tokens expire; the script's delay is by trio's clock.
    """

    def __init__(self, script: Script | None = None, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self._state = State(script or Script(), now)

    @property
    def script(self) -> Script:
        """What it does. Set another one at any time; the requests that its faults count begin anew."""
        return self._state.script

    @script.setter
    def script(self, script: Script) -> None:
        self._state.change_script(script)

    @property
    def tell(self) -> Callable[[Event], None]:
        """What is called with each event, at once. It must not raise."""
        return self._state.tell

    @tell.setter
    def tell(self, tell: Callable[[Event], None]) -> None:
        self._state.tell = tell

    @property
    def requests(self) -> list[LoggedRequest]:
        """The last thousand requests that were answered or dropped, oldest first."""
        return list(self._state.requests)

    def reset(self) -> None:
        """Forget all codes, tokens and requests, and follow the script of the beginning again."""
        self._state.reset()

    def decide(self, user_code: str, *, approve: bool) -> None:
        """Approve or deny as a person at `/codex/device` does. Raises LookupError for a code never issued."""
        login = self._state.find_login(user_code)
        if login is None:
            raise LookupError("no login has this user code")
        self._state.decide(login, approve=approve)

    async def authorize(self, url: str, *, approve: bool = True) -> str:
        """Open an authorize URL, press a button there as a person does, and give where the browser is then sent.

        Approving goes on past a workspace that is not allowed; a script that does not ask decides by itself.
        Raises LookupError for a page without these buttons, ConnectionDropped as `respond` does.
        """
        parts = urlsplit(url)
        headers = {"host": parts.netloc}
        answer = await self.respond(Request("GET", parts.path, parts.query, headers, scheme=parts.scheme))
        if b' name="decision"' in answer.body:
            form = f"{parts.query}&decision={'approve' if approve else 'deny'}".encode()
            headers["content-type"] = "application/x-www-form-urlencoded"
            path = f"{parts.path}/decision"
            answer = await self.respond(Request("POST", path, "", headers, form, parts.scheme))
        if "location" not in answer.headers:
            raise LookupError(f"there is nothing to decide on this page, of status {answer.status}")
        return answer.headers["location"]

    def issue_tokens(self, client_id: str = DEFAULT_CLIENT_ID) -> TokenSet:
        """Return the tokens of a login that nobody had to go through, with the claims that the script has now."""
        return self._state.issue_tokens(Grant(client_id), "http://127.0.0.1")

    async def respond(self, request: Request) -> Response:
        """Answer, after the script's delay. Raises ConnectionDropped if the script has no answer for it."""
        if request.path in _UNSCRIPTED:
            return self._answer(request)
        fault = self._state.next_fault(request.path)
        await trio.sleep(self._state.script.delay)
        response = self._answer(request) if fault is None or fault.after else None
        if fault is not None:
            response = _render_fault(fault)
        status = response.status if response else 0
        self._state.log(request.method, request.path, status)
        if response is None:
            raise ConnectionDropped
        return response

    def longest_body(self, request: Request) -> int:
        """Give how many bytes the body of a request like this may have."""
        route = _ROUTES.get((request.path, request.method))
        return route.longest if route is not None else MAX_BODY

    def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        route = _ROUTES.get((request.path, method))
        try:
            if route is None:
                return _render_no_route(request)
            route.guard(request)
            return route.answer(self._state, request)
        except Refused as refusal:
            return refusal.response


def _render_no_route(request: Request) -> Response:
    allowed = [method for path, method in _ROUTES if path == request.path]
    if not allowed:
        return render_oauth_error("not_found", "the sandbox has nothing here; see /", 404)
    answer = render_oauth_error("method_not_allowed", f"only {' and '.join(allowed)}", 405)
    return Response(answer.status, {**answer.headers, "allow": ", ".join(allowed)}, answer.body)


def _render_fault(fault: Fault) -> Response | None:
    """Return a fault's answer, None if it is to have none."""
    if not fault.status:
        return None
    match fault.body:
        case msgspec.UNSET:
            return render_oauth_error("sandbox_fault", "the script asked for this", fault.status)
        case str(text):
            return Response(fault.status, {"content-type": "text/plain; charset=utf-8"}, text.encode())
        case value:
            return render_json(fault.status, value)
