"""What an address means that a person pastes, and what is said to one that is not it."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import InvalidRequest
from accountd.oauth.callback import MAX_TARGET, Callback, Denied, NotEntitled, parse_pasted_url
from accountd.secret import Secret
from fakes.callback import CODE, REDIRECT_URI, STATE

if TYPE_CHECKING:
    from accountd.oauth.callback import Outcome


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
        "http://127.0.0.1/auth/callback?{}",
        "http://localhost:8455/auth/callback?{}",
        "https://ada-1455.app.example.dev/auth/callback?{}",
        "https://code.example/proxy/1455/auth/callback?{}",
        "http://127.0.0.1:1455/auth/callback?{}#",
        "http://127.0.0.1:1455/auth/callback?{}#_=_",
    ],
)
def test_the_address_can_be_pasted(address: str) -> None:
    """As the browser shows it, with or without its scheme, by whatever name is forwarded to us, wrapped or not."""
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
        (f"http://127.0.0.1:1455/success?code={CODE}&state={STATE}", NOT_IT),
        (f"http://127.0.0.1:1455/AUTH/CALLBACK?code={CODE}&state={STATE}", NOT_IT),
        (f"file:///auth/callback?code={CODE}&state={STATE}", NOT_IT),
        (f"{REDIRECT_URI}?code={CODE}&state={STATE}&x={'a' * MAX_TARGET}", NOT_IT),
        (
            f"https://auth.openai.com/oauth/authorize?code_challenge=x&state={STATE}&redirect_uri={quote(REDIRECT_URI)}",
            "This is the address that the login begins with.",
        ),
        (f"https://ada.example.dev/auth/callback?code={CODE}&state=x", CUT_OFF),
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
