"""The pages as pure functions. Their HTML is in `pages/`; what goes into it is escaped, and they load nothing."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from accountd.page_templates import Html, PageTemplates
from accountd.sandbox.message import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from accountd.sandbox.authorization import AuthorizationRequest, BadParameter
    from accountd.sandbox.script import Claims
    from accountd.sandbox.state import DeviceLogin, LoggedRequest, Prompt

TEMPLATES: Final = PageTemplates(Path(__file__).with_name("pages"))

_HEADERS: Final = {
    "content-type": "text/html; charset=utf-8",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, our own forms would say `Origin: null`, as anybody's may
    "cache-control": "no-store",
}


_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action {forms}; base-uri 'none'; frame-ancestors 'none'"
)


_SHOWN: Final = 50
"""Requests that a person is shown, of those that are remembered."""

_CLOSE: Final = "You can close this page."
_AGAIN: Final = Html('<a href="/codex/device">Type another code</a>')


def render_enter(typed: str = "", complaint: str = "") -> Response:
    """Ask for a code; with a complaint, ask again for one that was not good."""
    main = TEMPLATES.fill(
        "enter",
        typed=typed,
        invalid=Html(' aria-invalid="true" aria-describedby="complaint"' if complaint else ""),
        alert=TEMPLATES.fill("alert", complaint=complaint) if complaint else "",
    )
    return _page(404 if complaint else 200, "Connect a device", main)


def render_decide(login: DeviceLogin, claims: Claims) -> Response:
    """Show what is about to be approved, and ask."""
    main = TEMPLATES.fill(
        "decide",
        user_code=login.user_code,
        email=claims.email,
        workspace=claims.workspace_name or "none",
        plan=claims.plan,
        client_id=login.client_id,
    )
    return _page(200, "Let this app log in?", main)


def render_approved() -> Response:
    """Say that the app will go on by itself."""
    text = "Go back to your app or terminal: in a moment it finishes the login by itself."
    return _outcome(200, "good", "Approved", text, _CLOSE)


def render_denied() -> Response:
    """Say that the app will be told."""
    return _outcome(200, "", "Denied", "The app is told, and its login ends.", _CLOSE)


def render_used() -> Response:
    """Say that this code was approved or denied before."""
    text = (
        "A code is good for one decision, and this one was approved or denied. Start the login again for another."
    )
    return _outcome(409, "bad", "This code has been used", text, _AGAIN)


def render_expired() -> Response:
    """Say that the code came too late."""
    return _outcome(410, "bad", "This code has expired", "Start the login again in your app for a new one.", _AGAIN)


def render_consent(asked: AuthorizationRequest, claims: Claims) -> Response:
    """Show what an app asks for, and for whom, and ask."""
    return _question(200, "Let this app log in?", "consent", asked, claims)


def render_wrong_workspace(asked: AuthorizationRequest, claims: Claims) -> Response:
    """Say that the app does not allow the one workspace that there is, and offer to go on nevertheless."""
    return _question(403, "This workspace is not allowed", "workspace", asked, claims)


def render_bad_parameter(error: BadParameter) -> Response:
    """Say which parameter is wrong, to the author of the app; the fault may be the address to tell the app at."""
    more = "Nothing was sent back to the app, whose author has to correct the link."
    return _outcome(400, "bad", "This login link is not right", f"{error}.", more)


def render_index(origin: str, groups: Mapping[str, Iterable[tuple[str, str, str]]]) -> Response:
    """List what there is: by group, each thing's method, path and what it is for."""
    listed = {
        name: _join(TEMPLATES.fill("item", method=m, path=p, says=s) for m, p, s in items)
        for name, items in groups.items()
    }
    sections = (TEMPLATES.fill("group", group=name, items=items) for name, items in listed.items())
    return _page(200, "What it offers", TEMPLATES.fill("index", origin=origin, groups=_join(sections)))


def render_prompts(prompts: Iterable[Prompt]) -> Response:
    """Show what the model was asked, the newest first."""
    items = [
        TEMPLATES.fill(
            "prompt",
            text=prompt.text or "nothing",
            by=prompt.by,
            at=_time_of_day(prompt.at),
            status=str(prompt.status),
        )
        for prompt in prompts
    ]
    none = TEMPLATES.fill("no_prompts")
    return _page(200, "What the model was asked", TEMPLATES.fill("prompts", prompts=_join(reversed(items)) or none))


def render_panel(
    waiting: Iterable[DeviceLogin],
    switches: Mapping[str, Iterable[tuple[str, str, bool]]],
    requests: Iterable[LoggedRequest],
    now: float,
) -> Response:
    """Show who waits for the person; by group, what can be made to go wrong and what is; and what was asked."""
    logins = _join(TEMPLATES.fill("waiting", user_code=login.user_code) for login in waiting)
    groups = [(group, _join(itertools.starmap(_switch, listed))) for group, listed in switches.items()]
    asked = [
        TEMPLATES.fill(
            "request",
            method=request.method,
            path=request.path,
            at=_time_of_day(request.at),
            status=str(request.status) if request.status else "dropped",
        )
        for request in requests
    ]
    main = TEMPLATES.fill(
        "panel",
        now=_time_of_day(now),
        waiting=logins or TEMPLATES.fill("nobody_waits"),
        switches=_join(TEMPLATES.fill("group", group=group, items=items) for group, items in groups),
        requests=_join(itertools.islice(reversed(asked), _SHOWN)) or TEMPLATES.fill("no_requests"),
    )
    return _page(200, "Play along", main)


def render_seen(path: str) -> Response:
    """Send the browser to a page, by GET (RFC 9110 section 15.4.4): to load it again repeats nothing."""
    return Response(303, {**_HEADERS, "location": path})


def _switch(name: str, says: str, is_on: bool) -> Html:
    checked, word = ("true", "On") if is_on else ("false", "Off")
    return TEMPLATES.fill("switch", name=name, says=says, checked=checked, word=word)


_MARKS: Final = {"good": "✓", "bad": "!", "": "✕"}


def _question(status: int, title: str, template: str, asked: AuthorizationRequest, claims: Claims) -> Response:
    main = TEMPLATES.fill(
        template,
        originator=asked.originator or "It gives no name",
        client_id=asked.client_id,
        email=claims.email,
        workspace=claims.workspace_name or "none",
        account_id=claims.account_id,
        plan=claims.plan,
        scopes=_words(asked.scope.split()) or "nothing",
        allowed=_words(asked.workspaces),
        returns_to=asked.redirect_origin,
        carried=_join(TEMPLATES.fill("hidden", name=name, value=value) for name, value in asked.carry().items()),
    )
    # Chromium holds every redirect that follows a form to its page's policy, those of the app's own callback too.
    return _page(status, title, main, forms=f"'self' {asked.redirect_origin}")


def _outcome(status: int, mood: str, title: str, text: str, more: str) -> Response:
    main = TEMPLATES.fill("outcome", mood=mood, mark=_MARKS[mood], title=title, text=text, next=more)
    return _page(status, title, main)


def _page(status: int, title: str, main: Html, *, forms: str = "'self'") -> Response:
    headers = {**_HEADERS, "content-security-policy": _POLICY.format(forms=forms)}
    return Response(status, headers, TEMPLATES.fill("layout", title=title, main=main).encode())


def _words(words: Iterable[str]) -> Html:
    return _join(TEMPLATES.fill("word", word=word) for word in words)


def _time_of_day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")


def _join(parts: Iterable[Html]) -> Html:
    return Html("".join(parts))
