"""Which cookies are kept, to whom they are sent, and when they are gone."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.backend.client import Access, Backend
from accountd.secret import Secret
from accountd.web.edge_cookies import MAX_COOKIES, EdgeCookies
from accountd.web.http import HttpClient, Way

URL = "https://chatgpt.com/backend-api/wham/usage"
ADA, BOB = Secret("token-of-ada"), Secret("token-of-bob")


def keep(*fields: str, url: str = URL, then: str = URL) -> str | None:
    """Take cookies from one URL, and say what is sent to another."""
    cookies = EdgeCookies()
    cookies.take(url, ADA, fields)
    return cookies.render(then, ADA)


@pytest.mark.parametrize(
    "name",
    [
        "__cf_bm",
        "__cflb",
        "__cfruid",
        "__cfseq",
        "__cfwaitingroom",
        "_cfuvid",
        "cf_clearance",
        "cf_ob_info",
        "cf_use_ob",
        "cf_chl_rc_m",
    ],
)
def test_the_edges_own_are_kept(name: str) -> None:
    """Each by its name, as the peer keeps them."""
    assert keep(f"{name}=a.b-c; Path=/; Domain=.chatgpt.com; HttpOnly; Secure; SameSite=None") == f"{name}=a.b-c"


@pytest.mark.parametrize(
    "field",
    [
        "session=1",
        "__Secure-next-auth.session-token=1",
        "cf_chl=1",
        "x__cf_bm=1",
        "__cf_bm=1; Domain=openai.com",
        "__cf_bm=1; Domain=com",
        "__cf_bm=1; Domain=evil.example",
        "__cf_bm=1; Domain=evilchatgpt.com",
        "__cf_bm=1; Max-Age=0",
        "__cf_bm=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "__cf_bm=é",
        "__cf_bm=" + "a" * MAX_COOKIES,
        "",
        "=",
        ";",
    ],
)
def test_no_others_are(field: str) -> None:
    """Of an account or a session, for other hosts, past, or too large: there is nothing to send."""
    assert keep(field) is None


@pytest.mark.parametrize(
    ("url", "then", "sent"),
    [
        (URL, "https://chatgpt.com/other", True),
        (URL, "https://sub.chatgpt.com/", False),  # it was set for one host
        (URL, "https://chat.openai.com/", False),
        (URL, "http://chatgpt.com/", False),
        ("https://sub.chatgpt.com/", "https://sub.chatgpt.com/", True),
        ("https://chat.openai.com/", "https://chat.openai.com/", True),
        ("HTTPS://ChatGPT.com:443/", URL, True),
        ("http://chatgpt.com/", URL, False),
        ("https://auth.openai.com/", "https://auth.openai.com/", False),
        ("https://chatgpt.com.evil.example/", "https://chatgpt.com.evil.example/", False),
        ("https://evilchatgpt.com/", "https://evilchatgpt.com/", False),
        ("https://127.0.0.1/", "https://127.0.0.1/", False),
    ],
)
def test_they_go_where_they_came_from(url: str, then: str, sent: bool) -> None:
    """Over https, and to the two hosts and what is below them alone."""
    assert keep("__cf_bm=1; Path=/", url=url, then=then) == ("__cf_bm=1" if sent else None)


def test_no_host_sets_one_for_those_beside_it() -> None:
    """The issuer is at openai.com as well, and none is its."""
    field, url = "__cf_bm=1; Path=/; Domain=.openai.com", "https://chat.openai.com/"
    assert keep(field, url=url, then=url) is None
    assert keep(field, url=url, then="https://auth.openai.com/") is None


def test_a_path_is_heeded_and_a_newer_one_replaces() -> None:
    """As in browsers (RFC 6265 section 5.3)."""
    assert keep("__cf_bm=1; Path=/elsewhere") is None
    assert keep("__cf_bm=1; Path=/", "__cf_bm=2; Path=/") == "__cf_bm=2"
    assert keep("__cf_bm=1; Path=/", "__cf_bm=2; Path=/; Max-Age=0") is None


def test_there_are_so_many_and_no_more() -> None:
    """A header stays one that servers take, however many are set; what is there can still be replaced."""
    cookies = EdgeCookies()
    cookies.take(URL, ADA, [f"cf_chl_{number}={'a' * 100}; Path=/" for number in range(10_000)])
    assert len(cookies.render(URL, ADA) or "") < MAX_COOKIES
    cookies.take(URL, ADA, ["cf_chl_0=new; Path=/"])
    assert "cf_chl_0=new" in (cookies.render(URL, ADA) or "")


def test_another_token_begins_without_any() -> None:
    """One person's are not sent with another's login, nor brought back by a late answer to the first."""
    cookies = EdgeCookies()
    cookies.take(URL, ADA, ["__cf_bm=ada; Path=/"])
    assert cookies.render(URL, BOB) is None
    assert cookies.render(URL, ADA) is None
    cookies.take(URL, ADA, ["__cf_bm=ada; Path=/"])
    assert cookies.render(URL, BOB) is None


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=30))
def test_whatever_is_set_what_is_sent_can_be_sent(field: str) -> None:
    """No field raises, and what comes of one is ASCII, and the edge's."""
    sent = keep(field, f"__cf_bm={field}; Path=/", f"cf_chl_{field}; Path=/")
    assert sent is None or (sent.isascii() and sent.startswith(("__cf_bm", "cf_chl_")))


async def test_the_backend_gets_its_own_back_and_only_with_the_same_login() -> None:
    """Once kept they go with each request of that token, and with none of another."""
    seen: list[str | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie"))
        return httpx.Response(
            200, json={}, headers=[("Set-Cookie", "__cf_bm=1; Path=/"), ("Set-Cookie", "session=1")]
        )

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(handle))

    backend = Backend(HttpClient("agent/1", open_httpx), "https://chatgpt.com/backend-api")
    for token in (ADA, ADA, BOB, BOB, ADA):
        await backend.send_nudge(Access(token, "account"), "credits")
    assert [cookie and "__cf_bm=1" in cookie for cookie in seen] == [None, True, None, True, None]
