"""What a request to the loopback listener means, and what a pasted address does."""

from __future__ import annotations

import traceback
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accountd.errors import InvalidRequest
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
    Outcome,
    Success,
    WrongState,
    parse_pasted_url,
    parse_request,
    plain_text,
    render_redirect_uri,
    render_result_uri,
)
from accountd.secret import Secret

PORT = 1455
STATE = "st4te-bl4h-_0123456789012345678901234567890"
CODE = "ac_c4nary-7d1e"
REDIRECT_URI = "http://127.0.0.1:1455/auth/callback"
HOST = (b"host", b"127.0.0.1:1455")
CHROMIUM = (
    (b"upgrade-insecure-requests", b"1"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"),
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
)
OF_A_PAGE = [
    (b"origin", b"https://evil.example"),
    (b"origin", b"null"),
    (b"origin", b"http://127.0.0.1:1455"),
    (b"referer", b"https://evil.example/"),
    (b"sec-fetch-site", b"cross-site"),
    (b"sec-fetch-site", b"same-site"),
    (b"sec-fetch-site", b"same-origin"),
    (b"sec-fetch-site", b"none"),
    (b"user-agent", b"Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/15.0 Safari/605.1.15"),
]
"""What each betrays a browser, alone."""


def request(
    target: str | bytes,
    *headers: tuple[bytes, bytes],
    method: bytes = b"GET",
    host: tuple[tuple[bytes, bytes], ...] = (HOST,),
) -> Outcome:
    """Ask the listener of a login whose state is STATE."""
    raw = target.encode() if isinstance(target, str) else target
    return parse_request(method, raw, [*host, *headers], PORT, Secret(STATE))


def callback(query: str | None = None, **parameters: str) -> Outcome:
    """Ask for the callback with a query, or with these parameters and the right state."""
    return request("/auth/callback?" + (urlencode({"state": STATE, **parameters}) if query is None else query))


# The issuer's redirect


def test_a_code_is_read() -> None:
    """The right state and a code are a callback, whatever else the issuer adds, in any order."""
    assert callback(code=CODE) == Callback(Secret(CODE))
    assert callback(f"scope=openid+email&code={CODE}&iss=x&iss=y&empty=&state={STATE}") == Callback(Secret(CODE))
    assert callback(code="a b+c/d=&é") == Callback(Secret("a b+c/d=&é"))


def test_an_entrypoint_is_a_suffix_of_the_state() -> None:
    """The one entrypoint that Codex knows is reported; another suffix makes the state a wrong one."""
    expected = Callback(Secret(CODE), "life_sciences")
    state = f"{STATE}.onboarding_entrypoint=life_sciences"
    assert callback(f"code={CODE}&state={state}") == expected
    assert callback(code=CODE, state=state) == expected
    assert callback(code=CODE, state=f"{STATE}.onboarding_entrypoint=other") == WrongState()
    assert callback(code=CODE, state=f"{state}.onboarding_entrypoint=life_sciences") == WrongState()
    assert callback(code=CODE, state=".onboarding_entrypoint=life_sciences") == WrongState()


@pytest.mark.parametrize("header", OF_A_PAGE)
def test_a_redirect_from_another_site_is_welcome(header: tuple[bytes, bytes]) -> None:
    """The issuer's redirect is cross-site: with the right state, no header of a browser's stands in its way."""
    assert request(f"/auth/callback?code={CODE}&state={STATE}", *CHROMIUM, header) == Callback(Secret(CODE))


def test_no_code_is_told_in_codex_s_words() -> None:
    """The right state alone, or with a code without a value (RFC 6749 section 3.1), lacks its code."""
    for outcome in (callback(), callback(code=""), callback(code="", error="", error_description="words")):
        assert isinstance(outcome, MissingCode)
        assert outcome.message == "Missing authorization code. Sign-in could not be completed."


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"error": "access_denied", "error_description": "not today <script>"}, "not today <script>"),
        ({"error": "server_error"}, "server_error"),
        ({"error": "server_error", "error_description": ""}, "server_error"),
        ({"error": "server_error", "code": CODE}, "server_error"),
        ({"error": "server_error", "error_description": "missing_codex_entitlement"}, "missing_codex_entitlement"),
        ({"error": "\x00"}, "unknown error"),
    ],
)
def test_an_error_is_told_in_the_issuer_s_words(parameters: dict[str, str], message: str) -> None:
    """Its description, or else its code, after what Codex puts before it; an error beats a code."""
    outcome = callback(**parameters)
    assert isinstance(outcome, Denied)
    assert outcome.message == f"Sign-in failed: {message}"


def test_a_workspace_without_codex_is_told_in_codex_s_words() -> None:
    """The entitlement's name, anywhere in the description and in any case, is a denial of its own."""
    for description in (
        "missing_codex_entitlement",
        "Missing_Codex_Entitlement: ask",
        "err: MISSING_CODEX_ENTITLEMENT",
    ):
        outcome = callback(error="access_denied", error_description=description)
        assert isinstance(outcome, NotEntitled)
        assert outcome.message == (
            "Codex is not enabled for your workspace. "
            "Contact your workspace administrator to request access to Codex."
        )


def test_the_issuer_s_words_are_made_plain() -> None:
    """They go to logs, terminals and pages: one line, nothing invisible, not long, and not our state."""
    outcome = callback(error="e\r\nX: y", error_description="\x1b[2J red\u202e\u2028 \u200b" + "long " * 1000)
    assert isinstance(outcome, Denied)
    assert outcome.error == "e X: y"
    assert outcome.description is not None
    assert outcome.description.startswith("[2J red long long")
    assert len(outcome.description) == 300
    assert outcome.description.endswith("…")
    quoting = callback(error=f"bad {STATE}", error_description=f"state {STATE} is old")
    assert quoting == Denied("bad ...", "state ... is old")
    nested = callback(error=f"{STATE[:4]}{STATE}{STATE[4:]}")  # where taking it out would put it together
    assert nested == Denied(f"{STATE[:4]}...{STATE[4:]}", None)


# The wrong state


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"code={CODE}",
        f"code={CODE}&state=",
        f"code={CODE}&state=wrong",
        f"code={CODE}&state={STATE}x",
        f"code={CODE}&state={STATE[:-1]}",
        f"code={CODE}&state={STATE.upper()}",
        f"code={CODE}&STATE={STATE}",
        f"code={CODE}&state={STATE}é",
        "error=access_denied&error_description=missing_codex_entitlement",
        "error=access_denied&state=wrong",
        f"code={CODE};state={STATE}",
    ],
)
def test_a_wrong_state_is_a_wrong_link(query: str) -> None:
    """No state, or another, in whatever spelling: no code is taken and no error believed."""
    assert callback(query) == WrongState()


@pytest.mark.parametrize("name", ["state", "code", "error", "error_description", "st%61te"])
def test_a_parameter_that_comes_twice_is_a_wrong_link(name: str) -> None:
    """What may come once (RFC 6749 section 3.1) and comes twice, even the same, is nobody's honest redirect."""
    value = STATE if name.startswith("st") else "x"
    assert callback(f"state={STATE}&code={CODE}&{name}={value}&{name}={value}") == WrongState()


@pytest.mark.parametrize(
    "tail",
    ["%", "%4", "%zz", "%ff", "%c3%28", "%ed%a0%80", "#", "#fragment", "é", "\xff", "a" * MAX_TARGET, "&a=b" * 64],
)
def test_a_mangled_query_is_a_wrong_link(tail: str) -> None:
    """Escapes that are none or no UTF-8, fragments, bytes beyond ASCII, and too much of anything."""
    target = f"/auth/callback?code={CODE}&state={STATE}&tail={tail}"
    assert request(target.encode("latin-1")) == WrongState()


@given(st.text())
def test_no_other_state_yields_a_code(state: str) -> None:
    """Whatever the state is, if it is not the login's, there is no code, no denial and no end."""
    if state.removesuffix(".onboarding_entrypoint=life_sciences") != STATE:
        query = urlencode({"code": CODE, "error": "", "state": state}, errors="surrogatepass")
        assert callback(query) == WrongState()


def test_a_login_without_a_state_takes_no_callback() -> None:
    """An empty state, which no login has, matches nothing, not even an empty one."""
    target = f"/auth/callback?code={CODE}&state=".encode()
    assert parse_request(b"GET", target, [HOST], PORT, Secret("")) == WrongState()


# The other routes, and who may ask


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
@pytest.mark.parametrize("target", [f"/auth/callback?code={CODE}&state={STATE}", "/success", "/cancel", "/nope"])
def test_a_foreign_name_is_told_nothing(host: bytes, target: str) -> None:
    """A page whose name was rebound to this computer gets nothing from any path, the right state or not."""
    assert request(target, host=((b"host", host),)) == BadHost()


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


# The paste


def paste(text: str) -> Outcome:
    """Paste an address into the login whose state is STATE."""
    return parse_pasted_url(text, REDIRECT_URI, Secret(STATE))


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1455/auth/callback?{}",
        "http://localhost:1455/auth/callback?{}",
        "http://[::1]:1455/auth/callback?{}",
        "HTTP://LocalHost:1455/auth/callback?{}",
        "https://127.0.0.1:1455/auth/callback?{}",
        "127.0.0.1:1455/auth/callback?{}",
        "localhost:1455/auth/callback?{}",
        " \t\n http://127.0.0.1:1455/auth/callback?{} \r\n",
        "http://127.0.0.1:1455/auth/\n  callback?{}\n",
        "http://127.0.0.1:1455/auth/callback?{}#",
        "http://127.0.0.1:1455/auth/callback?{}#_=_",
    ],
)
def test_the_address_can_be_pasted(address: str) -> None:
    """As the browser shows it, with or without its scheme, by any loopback name, wrapped or not."""
    assert paste(address.format(f"code={CODE}&state={STATE}")) == Callback(Secret(CODE))


def test_a_paste_is_read_as_a_callback_is() -> None:
    """Denials, entitlement and entrypoint mean the same when they are pasted."""
    query = f"{REDIRECT_URI}?state={STATE}"
    assert paste(f"{query}&error=access_denied") == Denied("access_denied")
    assert paste(f"{query}&error=access_denied&error_description=missing_codex_entitlement") == NotEntitled()
    suffix = ".onboarding_entrypoint=life_sciences"
    assert paste(f"{query}{suffix}&code={CODE}") == Callback(Secret(CODE), "life_sciences")


NOT_IT = "This is not the address that the login ends with."
CUT_OFF = "This address belongs to another login, or was cut off."


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", NOT_IT),
        ("   ", NOT_IT),
        (CODE, NOT_IT),
        (f"code={CODE}&state={STATE}", NOT_IT),
        (f"?code={CODE}&state={STATE}", NOT_IT),
        (REDIRECT_URI, NOT_IT),
        (f"http://127.0.0.1:1457/auth/callback?code={CODE}&state={STATE}", NOT_IT),
        (f"http://127.0.0.1/auth/callback?code={CODE}&state={STATE}", NOT_IT),
        (f"http://127.0.0.1:1455/success?code={CODE}&state={STATE}", NOT_IT),
        (f"http://127.0.0.1:1455/AUTH/CALLBACK?code={CODE}&state={STATE}", NOT_IT),
        (f"http://evil.example:1455/auth/callback?code={CODE}&state={STATE}", NOT_IT),
        (f"http://127x0x0x1:1455/auth/callback?code={CODE}&state={STATE}", NOT_IT),
        (f"file:///auth/callback?code={CODE}&state={STATE}", NOT_IT),
        (f"{REDIRECT_URI}?code={CODE}&state={STATE}&x={'a' * MAX_TARGET}", NOT_IT),
        (
            f"https://auth.openai.com/oauth/authorize?code_challenge=x&state={STATE}&redirect_uri={quote(REDIRECT_URI)}",
            "This is the address that the login begins with.",
        ),
        (f"{REDIRECT_URI}?", CUT_OFF),
        (f"{REDIRECT_URI}?code={CODE}", CUT_OFF),
        (f"{REDIRECT_URI}?code={CODE}&state={STATE[:-3]}", CUT_OFF),
        (f"{REDIRECT_URI}?code={CODE}&state={STATE}&state={STATE}", CUT_OFF),
        (f"{REDIRECT_URI}?code={CODE}%z&state={STATE}", CUT_OFF),
        (f"{REDIRECT_URI}?code={CODE}é&state={STATE}", CUT_OFF),
        (f"{REDIRECT_URI}?error=access_denied&state=wrong", CUT_OFF),
        (f"{REDIRECT_URI}?state={STATE}", "This address has no authorization code, or was cut off."),
        (f"{REDIRECT_URI}?state={STATE}&code=", "This address has no authorization code, or was cut off."),
    ],
)
def test_a_wrong_paste_is_told_what_to_paste(text: str, complaint: str) -> None:
    """It ends nothing, says what is wrong and what was wanted, and repeats nothing of what was pasted."""
    with pytest.raises(InvalidRequest) as raised:
        paste(text)
    message = str(raised.value)
    assert message == (
        f"{complaint} Paste the whole address that the browser shows after you approved; "
        "it begins with http://127.0.0.1:1455/auth/callback?"
    )
    whole = "".join(traceback.format_exception(raised.value))
    assert CODE not in whole
    assert STATE not in whole


@given(st.text() | st.text().map(lambda tail: f"{REDIRECT_URI}?code={CODE}&state={STATE[:-1]}&{tail}"))
def test_no_paste_does_worse_than_be_refused(text: str) -> None:
    """Whatever is pasted, without the state it is an error for the one who pasted it."""
    with pytest.raises(InvalidRequest):
        paste(text)


# Small things


def test_the_addresses_are_numbers() -> None:
    """Both are 127.0.0.1, which unlike `localhost` no resolver can send elsewhere (RFC 8252 section 8.3)."""
    assert render_redirect_uri(1455) == REDIRECT_URI
    assert render_result_uri(1457, success=True) == "http://127.0.0.1:1457/success"


def test_an_outcome_does_not_show_its_code() -> None:
    """The repr of a callback, which a log might get, has dots for the code."""
    assert CODE not in repr(callback(code=CODE))


@given(st.text())
def test_plain_text_is_one_printable_line(text: str) -> None:
    """Nothing invisible is left, nothing is long, and making it plain once more changes nothing."""
    plain = plain_text(text)
    assert plain.isprintable()
    assert len(plain) <= 300
    assert plain_text(plain) == plain
