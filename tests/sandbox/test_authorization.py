"""What an authorization request may ask, and where its answer may go."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accountd.sandbox.authorization import BadParameter, parse_authorization, parse_query, render_redirect
from sandbox.caller import CALLBACK, CLIENT_ID, PKCE, authorize_url
from sandbox.page import HOSTILE


def parameters(**changes: str | None) -> dict[str, str]:
    """Give the parameters that accountd sends, with some changed or left out."""
    return parse_query(urlsplit(authorize_url(**changes)).query)


def test_what_accountd_sends_is_understood() -> None:
    """Our own authorize URL is read back, whole."""
    asked = parse_authorization(parameters(allowed_workspace_id="a, b,"))
    assert (asked.client_id, asked.redirect_uri, asked.redirect_origin) == (
        CLIENT_ID,
        CALLBACK,
        "http://127.0.0.1:1455",
    )
    assert (asked.code_challenge, asked.state.reveal()) == (PKCE.challenge, "the-state")
    assert asked.scope.split()[:2] == ["openid", "profile"]
    assert (asked.originator, asked.workspaces) == ("test_client", ("a", "b"))


def test_what_a_form_carries_is_the_same_request() -> None:
    """The parameters that are carried along make the request that they were taken from."""
    asked = parse_authorization(parameters(state=HOSTILE, originator=HOSTILE, allowed_workspace_id="a"))
    assert parse_authorization(asked.carry()) == asked


@pytest.mark.parametrize("name", ["scope", "originator", "allowed_workspace_id", "id_token_add_organizations"])
def test_some_parameters_may_be_left_out(name: str) -> None:
    """A request without what is only shown, or not looked at, is good."""
    parse_authorization(parameters(**{name: None}))


@pytest.mark.parametrize(
    "uri", [CALLBACK, "http://localhost:1/auth/callback", "http://127.0.0.1:65535/auth/callback"]
)
def test_loopback_callbacks_are_good(uri: str) -> None:
    """Either name of this machine is good, with any port (RFC 8252 section 7.3)."""
    assert parse_authorization(parameters(redirect_uri=uri)).redirect_uri == uri


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/auth/callback",
        "https://127.0.0.1:1455/auth/callback",
        "http://evil.example:1455/auth/callback",
        "http://127.0.0.1.evil.example:1455/auth/callback",
        "http://127.0.0.1:1455@evil.example/auth/callback",
        "http://127.0.0.1:1455@evil.example:80/auth/callback",
        "http://user@127.0.0.1:1455/auth/callback",
        "http://127.0.0.1/auth/callback",
        "http://127.0.0.1:/auth/callback",
        "http://127.0.0.1:0/auth/callback",
        "http://127.0.0.1:65536/auth/callback",
        "http://127.0.0.1:014/auth/callback",
        "http://127.0.0.1:१४५५/auth/callback",
        "http://127.0.0.1:1455/auth/callback/",
        "http://127.0.0.1:1455/auth/callback?next=x",
        "http://127.0.0.1:1455/auth/callback#x",
        "http://127.0.0.1:1455/auth/callback\n",
        "http://127.0.0.1:1455/auth/callback\r\nset-cookie: x",
        "http://127.0.0.1:1455/auth/../callback",
        "http://127.0.0.1:1455; script-src */auth/callback",
        "http://127.1:1455/auth/callback",
        "http://2130706433:1455/auth/callback",
        "http://[::1]:1455/auth/callback",
        "HTTP://127.0.0.1:1455/auth/callback",
        " http://127.0.0.1:1455/auth/callback",
        "http:\\\\127.0.0.1:1455/auth/callback",
        "//127.0.0.1:1455/auth/callback",
        "javascript:alert(1)",
        "/auth/callback",
        "x",
    ],
)
def test_no_other_redirect_uri_is_good(uri: str) -> None:
    """Foreign hosts, names that only look like this machine, other paths and other schemes are refused."""
    with pytest.raises(BadParameter, match=r"^redirect_uri must be http://127\.0\.0\.1:PORT/auth/callback"):
        parse_authorization(parameters(redirect_uri=uri))


_PIECES = [
    *("http://", "https://", "127.0.0.1", "localhost", ":", "1455", "/auth/callback", "http://127.0.0.1:1455"),
    *("@", "/", "\\", "#", "?", "%2f", "\t", "\n", "\0", " ", ".", "evil.example"),
]
_URIS = (
    st.text(min_size=1)
    | st.lists(st.sampled_from(_PIECES), min_size=1).map("".join)
    | st.from_regex(r"\Ahttp://(127\.0\.0\.1|localhost):[^/]+/auth/callback\Z")
    | st.integers(0, 100_000).map(lambda port: f"http://localhost:{port}/auth/callback")
)


@given(_URIS)
@example("http://127.0.0.1:1455/auth/callback")
def test_every_redirect_goes_to_this_machine(uri: str) -> None:
    """Whatever the redirect URI, a request is refused, or its answer goes to a loopback callback."""
    try:
        asked = parse_authorization(parameters(redirect_uri=uri))
    except BadParameter as error:
        assert error.parameter == "redirect_uri"  # noqa: PT017  # most redirect URIs raise, and some do not
        return
    location = render_redirect(asked, {"code": "x"}).headers["location"]
    assert re.fullmatch(
        r"http://(127\.0\.0\.1|localhost):\d+/auth/callback\?code=x&state=the-state", location, re.ASCII
    )
    assert 0 < (urlsplit(location).port or 0) < 65536
    assert location.startswith(asked.redirect_origin + "/auth/")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1), st.text())
def test_the_answer_comes_whole(state: str, description: str) -> None:
    """Any state, and any words, arrive as they were, and nothing of them becomes another parameter or a header."""
    asked = parse_authorization(parameters(state=state))
    response = render_redirect(asked, {"error": "access_denied", "error_description": description})
    location = response.headers["location"]
    assert location.isascii()
    assert location.isprintable()
    assert parse_qsl(urlsplit(location).query, keep_blank_values=True) == [
        ("error", "access_denied"),
        ("error_description", description),
        ("state", state),
    ]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"redirect_uri": None}, "redirect_uri is missing"),
        ({"redirect_uri": ""}, "redirect_uri is missing"),
        ({"client_id": None}, "client_id is missing"),
        ({"client_id": "ünïcode"}, "client_id must be printable ASCII"),
        ({"client_id": "a\nb"}, "client_id must be printable ASCII"),
        ({"response_type": None}, "response_type is missing"),
        ({"response_type": "token"}, "response_type must be code"),
        ({"state": None}, "state is missing"),
        ({"state": "\0"}, "state must be printable ASCII"),
        ({"scope": "a\tb"}, "scope must be printable ASCII"),
        ({"code_challenge_method": None}, "code_challenge_method is missing"),
        ({"code_challenge_method": "plain"}, "code_challenge_method must be S256"),
        ({"code_challenge": None}, "code_challenge is missing"),
        ({"code_challenge": "x" * 42}, "code_challenge must be 43 to 128"),
        ({"code_challenge": "x" * 129}, "code_challenge must be 43 to 128"),
        ({"code_challenge": "x" * 42 + "="}, "code_challenge must be 43 to 128"),
        ({"code_challenge": "x" * 43 + "\n"}, "code_challenge must be 43 to 128"),
    ],
)
def test_a_bad_parameter_is_named(changes: dict[str, str | None], complaint: str) -> None:
    """What is missing, empty or wrong is told by its name, and with what would be right."""
    with pytest.raises(BadParameter, match=f"^{re.escape(complaint)}"):
        parse_authorization(parameters(**changes))


def test_a_repeated_parameter_is_named() -> None:
    """A parameter may be there once (RFC 6749 section 3.1), whichever it is."""
    query = urlsplit(authorize_url()).query
    for name in ("redirect_uri", "state", "unknown"):
        with pytest.raises(BadParameter, match=f"^{name} is there more than once"):
            parse_query(f"{query}&{name}=x&{name}=y")


@pytest.mark.parametrize("query", ["state=%ff", "state=\xe9", "&".join(f"a{n}=1" for n in range(101))])
def test_an_unreadable_query_is_refused(query: str) -> None:
    """Escapes that are no UTF-8, raw bytes, and floods of parameters are refused before any is looked at."""
    with pytest.raises(BadParameter, match=r"^The query is not"):
        parse_query(query)


@given(st.text())
def test_no_query_breaks_the_parser(query: str) -> None:
    """Any query is read or refused with BadParameter."""
    try:
        parse_authorization(parse_query(query))
    except BadParameter as error:
        assert error.problem  # noqa: PT017  # the one thing that may happen


def test_a_request_does_not_show_its_state() -> None:
    """The state that proves where an answer comes from is in no repr."""
    asked = parse_authorization(parameters(state="proof-of-origin"))
    assert "proof-of-origin" not in repr(asked) + repr(render_redirect(asked, {}))
