"""What the issuer's redirect to the loopback listener means, and what one with the wrong state does."""

from __future__ import annotations

import base64
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.oauth.callback import (
    MAX_TARGET,
    Callback,
    Denied,
    MissingCode,
    NotEntitled,
    WrongState,
    parse_request,
    render_redirect_uri,
    render_result_uri,
)
from accountd.secret import Secret
from fakes.callback import CHROMIUM, CODE, HOST, OF_A_PAGE, PORT, REDIRECT_URI, STATE, callback, request

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
    assert len(outcome.description) == 200
    assert outcome.description.endswith("…")
    quoting = callback(error=f"bad {STATE}", error_description=f"state {STATE} is old")
    assert quoting == Denied("bad ...", "state ... is old")
    nested = callback(error=f"{STATE[:4]}{STATE}{STATE[4:]}")  # where taking it out would put it together
    assert nested == Denied(f"{STATE[:4]}...", None)


@pytest.mark.parametrize(
    "written",
    [
        STATE,
        quote(STATE),
        "".join(f"%{ord(c):02x}" for c in STATE),
        "".join(f"\\u{ord(c):04x}" for c in STATE),
        base64.b64encode(STATE.encode()).decode(),
        STATE.encode().hex(),
    ],
)
def test_a_state_that_the_issuer_repeats_is_told_in_no_form(written: str) -> None:
    """Whatever it is written as, beyond the escapes of the address itself."""
    outcome = callback(error=f"bad {written}", error_description=f"see {written} there")
    assert isinstance(outcome, Denied)
    assert outcome.error.rstrip("=") == "bad ..."
    assert written.rstrip("=") not in outcome.message


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


# Small things


def test_the_addresses_are_numbers() -> None:
    """Both are 127.0.0.1, which unlike `localhost` no resolver can send elsewhere (RFC 8252 section 8.3)."""
    assert render_redirect_uri(1455) == REDIRECT_URI
    assert render_result_uri(1457, success=True) == "http://127.0.0.1:1457/success"


def test_an_outcome_does_not_show_its_code() -> None:
    """The repr of a callback, which a log might get, has dots for the code."""
    assert CODE not in repr(callback(code=CODE))
