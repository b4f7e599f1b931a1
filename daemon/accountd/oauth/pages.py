"""What the browser is shown, as pure functions. Their HTML is in `pages/`; they load nothing and run nothing.

Each says what to do next. None knows a code, a state or a token; the words of others are escaped and cut.
The end of a login is a 200, as in Codex, whichever end it is; what is not this login's has an error's status.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from accountd.oauth.callback import (
    BadHost,
    Cancel,
    Denied,
    Forbidden,
    MethodNotAllowed,
    MissingCode,
    NotEntitled,
    NotFound,
    WrongState,
    render_result_uri,
)
from accountd.page_templates import Html, PageTemplates
from accountd.redaction import quote

_MAX_TEXT: Final = 300  # characters of a page's one paragraph: a stranger's words, and ours around them
TEMPLATES: Final = PageTemplates(Path(__file__).with_name("pages"))


class Page(msgspec.Struct, frozen=True):
    """An answer for a browser. Whoever sends it adds what the connection needs, such as Content-Length."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


_AGAIN: Final = Html("To try again, start the login again in your app, or run <code>accountd login</code>.")

Settled: TypeAlias = (
    MissingCode | Denied | NotEntitled | WrongState | Cancel | Forbidden | NotFound | MethodNotAllowed | BadHost
)
"""Every outcome of a request whose page does not depend on how the login goes."""


def render_settled(outcome: Settled) -> Page:
    """Choose the page for an outcome that settles by itself what the browser is shown."""
    match outcome:
        case MissingCode():
            return render_failed(outcome.message)
        case Denied():
            return render_denied(outcome)
        case NotEntitled():
            return render_not_entitled()
        case WrongState():
            return render_wrong_link()
        case Cancel():
            return render_cancelled()
        case NotFound():
            return render_not_found()
        case Forbidden():
            return render_refused(403)
        case MethodNotAllowed():
            return render_refused(405)
        case BadHost():
            return render_refused(421)


def render_redirect(port: int | None, *, success: bool) -> Page:
    """Send the browser to a page of ours with a GET (303), so that the code is in no address it shows or keeps.

    Without a port, to where the callback came by: a forwarded one.
    """
    return _redirect(render_result_uri(port, success=success))


def render_hosted_redirect(brand: Literal["codex", "chatgpt"]) -> Page:
    """Send the browser to ChatGPT's own page, which brings the desktop app back to the front."""
    return _redirect(f"https://chatgpt.com/codex/open-app?source=login&app_brand={brand}")


def _redirect(location: str) -> Page:
    return Page(303, (*_headers(), ("Location", location)), b"")


def render_signed_in() -> Page:
    """Say that all is done."""
    text = "Your app or terminal goes on by itself."
    return _outcome(200, "good", "You are signed in", text, "You can close this page and go back to it.")


def render_denied(denied: Denied) -> Page:
    """Say that the person or the workspace refused, or else what the issuer says went wrong."""
    if denied.error != "access_denied":
        return render_failed(denied.description or denied.error)
    text = denied.description or "You, or a rule of your workspace, did not allow it."
    return _outcome(200, "", "Sign-in was denied", text, _AGAIN)


def render_not_entitled() -> Page:
    """Say that the workspace has no Codex, in Codex's own words."""
    then = "When you have been given access, or to use another account, run <code>accountd login</code> again."
    return _outcome(200, "bad", "You do not have access to Codex", NotEntitled().message, Html(then))


def render_workspace_not_allowed(reason: str) -> Page:
    """Say that this computer's configuration wants another workspace."""
    then = (
        "Run <code>accountd login</code> again and choose an allowed workspace. "
        "If you have none, ask your workspace's administrator."
    )
    return _outcome(200, "bad", "This workspace is not allowed here", reason, Html(then))


def render_not_saved(reason: str) -> Page:
    """Say that the credentials could not be stored."""
    then = "This login has ended. Once that is put right, run <code>accountd login</code> again."
    return _outcome(200, "bad", "Your sign-in could not be saved", reason, Html(then))


def render_failed(reason: str) -> Page:
    """Say that the login ended without success, in the words of its error."""
    return _outcome(200, "bad", "Sign-in failed", reason, _AGAIN)


def render_cancelled() -> Page:
    """Say that the login was ended here, by another program, or by a newer login."""
    return _outcome(200, "", "Login cancelled", "Nothing was changed: who was signed in before still is.", _AGAIN)


def render_wrong_link() -> Page:
    """Say that this link is not the one of the login that is under way."""
    text = "It does not belong to the login that is under way. Nothing was changed, and that login goes on."
    then = "Finish in the page that was opened last, or run <code>accountd login</code> for a new one."
    return _outcome(400, "bad", "This link is wrong or old", text, Html(then))


def render_not_found() -> Page:
    """Say that there is no such page."""
    text = "accountd shows pages here only while somebody logs in."
    then = "You can close this page. To log in, run <code>accountd login</code>."
    return _outcome(404, "", "There is no such page", text, Html(then))


def render_refused(status: int) -> Page:
    """Refuse what no page of a login asks for: 403, 405, 421, or a status of HTTP itself, such as 408 or 431."""
    text = "It does not come from the login that is under way. Nothing was changed, and that login goes on."
    page = _outcome(status, "bad", "This request was refused", text, "You can close this page.")
    return Page(status, (*page.headers, ("Allow", "GET")), page.body) if status == 405 else page


_MARKS: Final = {
    "good": "M5 12.5 10 17.5 19 7",
    "bad": "M12 5v8.5M12 18v.5",
    "": "M7 7l10 10M17 7 7 17",
}


def _outcome(status: int, mood: str, title: str, text: str, then: str) -> Page:
    main = TEMPLATES.fill(
        "outcome",
        mood=mood,
        mark=_MARKS[mood],
        role="alert" if mood == "bad" else "status",
        title=title,
        text=quote(text, _MAX_TEXT),
        then=then,
    )
    return Page(status, _headers(), TEMPLATES.fill("layout", title=title, main=main).encode())


@cache
def _headers() -> tuple[tuple[str, str], ...]:
    return (
        ("Content-Type", "text/html; charset=utf-8"),
        (
            "Content-Security-Policy",
            f"default-src 'none'; style-src '{_style_hash()}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    )


def _style_hash() -> str:
    """Name the one style that may apply: a changed byte, or another style, and the browser shows bare HTML."""
    style = TEMPLATES.read("layout").split("<style>")[1].split("</style>")[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")


def load() -> None:
    """Read what the pages are made of, once. Raises OSError; afterwards, no page needs the disk."""
    TEMPLATES.read("layout")
    TEMPLATES.read("outcome")
