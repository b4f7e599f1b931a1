"""The pages of the browser login: what a person reads and does next, and what the browser is forbidden."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.oauth import callback, pages
from accountd.oauth.callback import Denied
from accountd.oauth.pages import Page, Settled
from accountd.redaction import quote
from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

REASON = "what the issuer says"
PAGES: dict[str, tuple[Page, int, str]] = {
    "signed in": (pages.render_signed_in(), 200, "You are signed in"),
    "denied": (pages.render_denied(Denied("access_denied", REASON)), 200, "Sign-in was denied"),
    "denied without words": (pages.render_denied(Denied("access_denied")), 200, "Sign-in was denied"),
    "an error": (pages.render_denied(Denied("server_error", REASON)), 200, "Sign-in failed"),
    "not entitled": (pages.render_not_entitled(), 200, "You do not have access to Codex"),
    "workspace": (pages.render_workspace_not_allowed(REASON), 200, "This workspace is not allowed here"),
    "not saved": (pages.render_not_saved(REASON), 200, "Your sign-in could not be saved"),
    "failed": (pages.render_failed(REASON), 200, "Sign-in failed"),
    "cancelled": (pages.render_cancelled(), 200, "Login cancelled"),
    "wrong link": (pages.render_wrong_link(), 400, "This link is wrong or old"),
    "not found": (pages.render_not_found(), 404, "There is no such page"),
    "refused": (pages.render_refused(403), 403, "This request was refused"),
}
HOSTILE = "</title></p><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;${title}<!--"
WITH_WORDS: list[Callable[[str], Page]] = [
    pages.render_failed,
    pages.render_not_saved,
    pages.render_workspace_not_allowed,
    lambda words: pages.render_denied(Denied("access_denied", words)),
    lambda words: pages.render_denied(Denied(words)),
    lambda words: pages.render_denied(Denied("server_error", words)),
]


class Document(HTMLParser):
    """The elements of a page, the text of each, and a complaint if its tags do not nest."""

    _VOID = ("meta",)

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[int] = []
        self.feed(page.body.decode("utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        if tag not in self._VOID:
            self._open.append(len(self.elements))
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        for index in self._open:
            self.texts[index] += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        """Give the attributes of each such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> str:
        """Give the text of the only such element."""
        (text,) = (text for (name, _), text in zip(self.elements, self.texts, strict=True) if name == tag)
        return " ".join(text.split())


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Page:
    """Give each page in turn."""
    return PAGES[request.param][0]


# What the browser is told


def test_every_header_is_there(page: Page) -> None:
    """Nothing runs, loads, frames, refers or stays: each page comes with all of these, each once."""
    headers = dict(page.headers)
    assert len(headers) == len(page.headers)
    csp = headers.pop("Content-Security-Policy")
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; "
        r"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        csp,
    )
    assert headers == {
        "Content-Type": "text/html; charset=utf-8",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def test_the_one_style_is_the_one_that_may_apply(page: Page) -> None:
    """The policy names the SHA-256 of the style as it is sent (CSP level 3, 8.3); no element has its own."""
    document = Document(page)
    _, start, rest = page.body.partition(b"<style>")
    style, end, after = rest.partition(b"</style>")
    assert start
    assert end
    assert b"<style" not in after
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in dict(page.headers)["Content-Security-Policy"]
    assert not any("style" in attributes for _, attributes in document.elements)


def test_no_page_loads_or_runs_anything(page: Page) -> None:
    """No script, no asset, no form, no link and no handler: what the policy forbids is not there either."""
    document = Document(page)
    assert {tag for tag, _ in document.elements} == {
        *("html", "head", "meta", "title", "style", "body", "main", "div", "svg", "path", "h1", "p", "footer"),
        *(["code"] if b"<code>" in page.body else []),
    }
    for _, attributes in document.elements:
        assert not any(name.startswith("on") or name in ("href", "src", "http-equiv") for name in attributes)
    for word in (b"url(", b"@import", b"http:", b"https:"):
        assert word not in page.body


def test_the_redirect_is_clean() -> None:
    """A 303, which is always followed by a GET, to an absolute address without a query, with every header."""
    redirect = pages.render_redirect(1457, success=True)
    assert redirect.status == 303
    assert redirect.body == b""
    assert redirect.headers == (
        *pages.render_signed_in().headers,
        ("Location", "http://127.0.0.1:1457/success"),
    )


@pytest.mark.parametrize("status", [400, 403, 405, 408, 421, 431])
def test_a_refusal_has_its_status(status: int) -> None:
    """Its status is the one that is asked for; a 405 says what is allowed (RFC 9110 section 15.5.6)."""
    refusal = pages.render_refused(status)
    assert refusal.status == status
    assert dict(refusal.headers).get("Allow") == ("GET" if status == 405 else None)


# What a person reads


@pytest.mark.parametrize(("page", "status", "title"), PAGES.values(), ids=list(PAGES))
def test_every_page_has_its_title(page: Page, status: int, title: str) -> None:
    """The heading, the tab and the status say how it went. Each end of a login is a 200, as in Codex."""
    document = Document(page)
    assert page.status == status
    assert document.text("h1") == title
    assert document.text("title") == f"{title} · accountd"


def test_every_page_can_be_read_by_all(page: Page) -> None:
    """It names its language, fits a small screen, has one heading in one landmark, and one live text."""
    document = Document(page)
    assert document.find("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in document.find("meta")
    assert {"name": "color-scheme", "content": "light dark"} in document.find("meta")
    assert len(document.find("h1")) == len(document.find("main")) == 1
    roles = [attributes["role"] for _, attributes in document.elements if "role" in attributes]
    assert roles in (["status"], ["alert"])
    assert all(attributes["aria-hidden"] == "true" for attributes in document.find("svg"))


def test_every_page_says_what_to_do_next(page: Page) -> None:
    """Close it and go back, or begin again with a command that exists."""
    text = Document(page).text("main")
    assert "close this page" in text or "accountd login" in text


def test_success_is_a_status_and_failure_an_alert() -> None:
    """A screen reader interrupts for what went wrong, not for what went as the person wanted."""
    roles = {name: re.findall(r'role="(\w+)"', page.body.decode()) for name, (page, _, _) in PAGES.items()}
    alerts = {name for name, role in roles.items() if role == ["alert"]}
    assert alerts == {"an error", "not entitled", "workspace", "not saved", "failed", "wrong link", "refused"}


def test_the_words_are_shown() -> None:
    """Why it failed stands on the page; a denial without words gets some; the entitlement has Codex's."""
    for render in WITH_WORDS:
        assert REASON in Document(render(REASON)).text("main")
    assert "did not allow it" in Document(PAGES["denied without words"][0]).text("main")
    assert "Contact your workspace administrator" in Document(PAGES["not entitled"][0]).text("main")
    assert "administrator" in Document(PAGES["workspace"][0]).text("main")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (callback.MissingCode(), pages.render_failed(callback.MissingCode().message)),
        (Denied("access_denied", REASON), PAGES["denied"][0]),
        (callback.NotEntitled(), PAGES["not entitled"][0]),
        (callback.WrongState(), PAGES["wrong link"][0]),
        (callback.Cancel(), PAGES["cancelled"][0]),
        (callback.Forbidden(), pages.render_refused(403)),
        (callback.NotFound(), PAGES["not found"][0]),
        (callback.MethodNotAllowed(), pages.render_refused(405)),
        (callback.BadHost(), pages.render_refused(421)),
    ],
)
def test_every_settled_outcome_has_its_page(outcome: Settled, expected: Page) -> None:
    """What a request means decides what is shown, except where it depends on how the login goes."""
    assert pages.render_settled(outcome) == expected


# What a hostile text does


@given(st.text() | st.just(HOSTILE) | st.text("<>&\"'/ $={}-!"))
def test_hostile_text_stays_text(words: str) -> None:
    """Whatever the words of others are, they add no element and no bracket to a page, and are shown as they are."""
    for render in WITH_WORDS:
        plain, hostile = render("x"), render(words)
        assert hostile.headers == plain.headers
        if quote(words, 300):
            assert hostile.body.count(b"<") == plain.body.count(b"<")
            assert hostile.body.count(b">") == plain.body.count(b">")
            assert Document(hostile).elements == Document(plain).elements
            assert quote(words, 300) in Document(hostile).text("main")


@pytest.mark.parametrize("render", WITH_WORDS)
def test_long_text_is_cut(render: Callable[[str], Page]) -> None:
    """A megabyte of words makes a page no longer than a sensible sentence does."""
    assert len(render("word " * 200_000).body) < len(render("").body) + 400
    assert "…" in Document(render("word " * 200)).text("main")


def test_no_page_knows_a_code_or_a_state() -> None:
    """From the request to the page, neither shows, even where the issuer quotes the state in its words."""
    state, code = "st4te-c4nary", "c0de-c4nary"
    for query in (
        f"code={code}&state=wrong",
        f"code={code}&state={state}&state={state}",
        f"code={code}&state={state}&error=access_denied",
        f"code={code}&state={state}&error=access_denied&error_description=state+{state}+is+old",
        f"state={state}&error={state}&error_description={state}",
        f"state={state}.onboarding_entrypoint=life_sciences&error=x&error_description={state}",
        f"state={state}",
    ):
        target = f"/auth/callback?{query}".encode()
        outcome = callback.parse_request(b"GET", target, [(b"host", b"localhost")], 1455, Secret(state))
        assert not isinstance(outcome, callback.Callback | callback.Success | callback.Failure)
        page = pages.render_settled(outcome)
        for secret in (state.encode(), code.encode()):
            assert secret not in page.body
            assert secret not in repr(page.headers).encode()


# What the eye needs


def _contrast(one: str, other: str) -> float:
    """Give the contrast of two colours like `#1c6b4f` (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground", "least"),
    [
        ("ink", "card", 7.0),
        ("ink", "ground", 7.0),
        ("quiet", "card", 4.5),
        ("quiet", "ground", 4.5),
        ("good", "good-ground", 4.5),
        ("bad", "bad-ground", 4.5),
    ],
)
def test_colours_can_be_told_apart(scheme: str, text: str, ground: str, least: float) -> None:
    """Light or dark, every text has the contrast of WCAG 2.2 AA (1.4.3), the main one of AAA."""
    light, dark = re.findall(r":root \{(.*?)\}", pages.render_signed_in().body.decode(), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if scheme == "light" else dark))
    assert _contrast(colours[text], colours[ground]) >= least
