"""Which requests the loopback listener answers: by which path and method, under which name, and to whom."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accountd.oauth.callback import (
    MAX_TARGET,
    BadHost,
    Callback,
    Cancel,
    Denied,
    Failure,
    Forbidden,
    MethodNotAllowed,
    MissingCode,
    NotEntitled,
    NotFound,
    Success,
    WrongState,
    parse_request,
    render_result_uri,
)
from accountd.secret import Secret
from fakes.callback import CHROMIUM, CODE, HOST, OF_A_PAGE, PORT, REDIRECT_URI, STATE, request

# The routes, and who may ask


def test_the_success_page_is_anybody_s() -> None:
    """It says nothing of the login and changes nothing, so whoever asks may see it."""
    assert request("/success") == Success()
    assert request("/success?a=b", *CHROMIUM, (b"sec-fetch-site", b"cross-site")) == Success()


def test_another_program_may_cancel() -> None:
    """A local program that wants the port, such as another Codex, asks without what a browser sends along."""
    assert request("/cancel") == Cancel()
    assert request("/cancel", (b"connection", b"close")) == Cancel()
    assert request("/cancel", (b"user-agent", b"curl/8.5.0"), (b"accept", b"*/*")) == Cancel()
    node = ((b"user-agent", b"node"), (b"accept-language", b"*"), (b"sec-fetch-mode", b"cors"))
    assert request("/cancel", *node) == Cancel()


@pytest.mark.parametrize("header", OF_A_PAGE)
def test_no_page_may_cancel(header: tuple[bytes, bytes]) -> None:
    """Each thing that a browser adds is enough, `Sec-Fetch-Site: none` too: it survives a page's redirect."""
    assert request("/cancel", header) == Forbidden()
    assert request("/cancel", (header[0].title(), header[1])) == Forbidden()
    assert request(f"/cancel?state={STATE}", header) == Forbidden()


@pytest.mark.parametrize(
    "method", [b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b""]
)
@pytest.mark.parametrize("target", [f"/auth/callback?code={CODE}&state={STATE}", "/success", "/cancel"])
def test_only_get_is_allowed(method: bytes, target: str) -> None:
    """No other method does anything, with the right state or not."""
    assert request(target, method=method) == MethodNotAllowed()


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "/",
        "//",
        "/favicon.ico",
        "/auth",
        "/auth/callback/",
        "/auth//callback",
        "/auth/../auth/callback",
        "/auth/%63allback",
        "/Auth/Callback",
        "//127.0.0.1:1455/auth/callback",
        REDIRECT_URI,
        "http://evil.example/auth/callback",
        "127.0.0.1:1455",
        "/success/",
        "/success#x",
        "/success?%zz",
        "/cancel#x",
        "/cancel?x#y",
        "/cancel?é",
        "/cancel?" + "a" * MAX_TARGET,
        "/cancel;x",
        "/cancel\x00",
    ],
)
def test_everything_else_is_not_there(target: str) -> None:
    """Only three paths exist, in one spelling; the absolute form and what cannot be read are none of them."""
    query = "" if "?" in target or "#" in target else f"?code={CODE}&state={STATE}"
    assert request(target + query) == NotFound()
    assert request(target + query, method=b"POST") in (NotFound(), MethodNotAllowed())


def test_what_is_not_there_is_not_there_by_any_method() -> None:
    """The path is looked at first, so that nobody learns from a method which paths there are not."""
    assert request("/nowhere", method=b"POST") == NotFound()


def test_a_target_may_be_so_long_and_no_longer() -> None:
    """The limit itself is within it."""
    target = f"/auth/callback?code={CODE}&state={STATE}&x="
    longest = target + "a" * (MAX_TARGET - len(target))
    assert request(longest) == Callback(Secret(CODE))
    assert request(longest + "a") == WrongState()


def test_a_query_may_have_so_many_parameters_and_no_more() -> None:
    """An issuer that adds some of its own is understood; a flood is not taken apart."""
    target = f"/auth/callback?code={CODE}&state={STATE}"
    assert request(target + "&x=y" * 62) == Callback(Secret(CODE))
    assert request(target + "&x=y" * 63) == WrongState()


@pytest.mark.parametrize(("path", "outcome"), [("/success", Success()), ("/failure", Failure())])
def test_the_pages_of_the_end_have_an_address_each(path: str, outcome: Success | Failure) -> None:
    """Which is the one that the browser is sent to; what stands behind it does not matter."""
    assert render_result_uri(PORT, success=path == "/success") == f"http://127.0.0.1:{PORT}{path}"
    assert request(path) == outcome
    assert request(f"{path}?x=y") == outcome


# The name under which we are asked


@pytest.mark.parametrize(
    "host",
    [b"127.0.0.1:1455", b"localhost:1455", b"[::1]:1455", b"127.0.0.1", b"localhost", b"[::1]", b"LocalHost"],
)
def test_loopback_has_three_names(host: bytes) -> None:
    """Each loopback name, with our port or none, in any case."""
    assert request("/success", host=((b"Host", host),)) == Success()


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:1455",
        b"127.0.0.1.evil.example:1455",
        b"localhost.evil.example",
        b"127.0.0.1:1457",
        b"127.0.0.1:80",
        b"127.0.0.1:",
        b"127.0.0.2:1455",
        b"0.0.0.0:1455",
        b"[::]:1455",
        b"::1",
        b"user@127.0.0.1:1455",
        b"127.0.0.1:1455/x",
        b"127.0.0.1:1455, evil.example",
        b"localhost\xa0",
        b"",
        b"\xff",
    ],
)
@pytest.mark.parametrize("target", [f"/auth/callback?code={CODE}&state=x", "/success", "/cancel", "/nope"])
def test_a_foreign_name_is_told_nothing(host: bytes, target: str) -> None:
    """A page whose name was rebound to this computer gets nothing from any path without the right state."""
    assert request(target, host=((b"host", host),)) == BadHost()


@pytest.mark.parametrize("host", ["localhost:8455", "127.0.0.1:80", "ada-1455.app.example.dev", "[fe80::1]:9"])
def test_a_forwarded_name_that_has_the_state_is_heard(host: str) -> None:
    """The port may have any name where the browser is; one that has brought the state may see how it went."""
    fields = [(b"host", host.encode())]
    assert request(f"/auth/callback?code={CODE}&state={STATE}", host=(*fields,)) == Callback(Secret(CODE))
    assert parse_request(b"GET", b"/success", fields, PORT, Secret(STATE), forwarded={host}) == Success()


def test_there_is_one_host() -> None:
    """No Host, as in HTTP/1.0, or two, is a foreign one."""
    assert request("/cancel", host=()) == BadHost()
    assert request("/cancel", host=(HOST, HOST)) == BadHost()
    assert request("/cancel", host=(HOST, (b"HOST", b"evil.example"))) == BadHost()


@given(
    st.binary(max_size=10) | st.just(b"GET"),
    st.binary() | st.binary().map(lambda tail: b"/auth/callback?" + tail),
    st.lists(
        st.tuples(st.binary(max_size=20) | st.just(b"host"), st.binary(max_size=20) | st.just(HOST[1])), max_size=4
    ),
)
@example(b"GET", b"/auth/callback?state=%ED%B3%BF", [HOST])
def test_no_request_raises(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever bytes come, there is an answer; without the state it is never one that the issuer gives."""
    outcome = parse_request(method, target, headers, PORT, Secret(STATE))
    assert not isinstance(outcome, Callback | Denied | NotEntitled | MissingCode)


@given(st.binary(max_size=60))
def test_no_tail_of_a_good_link_raises(tail: bytes) -> None:
    """Bytes that are added to a good link leave it good or make it a wrong one, or give it an error to report."""
    outcome = request(f"/auth/callback?code={CODE}&state={STATE}&".encode() + tail)
    assert isinstance(outcome, Callback | Denied | NotEntitled | WrongState)
