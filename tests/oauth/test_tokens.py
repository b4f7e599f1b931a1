"""Claims, token answers, and the words of the token endpoint's refusals."""

from __future__ import annotations

import base64
import contextlib
import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import RemoteRefused
from accountd.oauth.tokens import (
    Claims,
    MalformedToken,
    TokenSet,
    describe_oauth_error,
    parse_claims,
    parse_oauth_error_code,
    parse_payload,
    parse_plan,
    parse_token_response,
)
from accountd.secret import Secret

CANARY = "canary-5f0c"
AUTH, PROFILE = "https://api.openai.com/auth", "https://api.openai.com/profile"
NOTHING = Claims(email=None, plan="unknown", user_id=None, account_id=None)


def jwt(payload: object) -> Secret:
    """Make a token of these claims, or of these bytes; head and signature are nothing."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Secret(f"e30.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.sig")


@pytest.mark.parametrize(
    ("payload", "claims"),
    [
        (
            {
                "email": "a@b",
                PROFILE: {"email": "other"},
                AUTH: {
                    "chatgpt_plan_type": "pro",
                    "chatgpt_user_id": "u",
                    "user_id": "v",
                    "chatgpt_account_id": "w",
                },
            },
            Claims("a@b", "pro", "u", "w"),
        ),
        ({PROFILE: {"email": "c@d"}, AUTH: {"user_id": "v"}}, Claims("c@d", "unknown", "v", None)),
        ({AUTH: {"chatgpt_account_is_fedramp": True}}, Claims(None, "unknown", None, None, is_fedramp=True)),
        ({AUTH: {"chatgpt_account_is_fedramp": "true"}}, NOTHING),
        ({"email": "", PROFILE: {"email": "c@d"}}, Claims("c@d", "unknown", None, None)),
        ({AUTH: {"chatgpt_user_id": "", "user_id": "v"}}, Claims(None, "unknown", "v", None)),
        ({}, NOTHING),
        ({"email": 5, PROFILE: "x", AUTH: ["x"]}, NOTHING),
        ({"email": None, PROFILE: None, AUTH: {"chatgpt_plan_type": 5, "chatgpt_user_id": {}}}, NOTHING),
        ({"email": "é\U0001f600>>>???"}, Claims("é\U0001f600>>>???", "unknown", None, None)),
        ({"email": "x" * 1_000_000}, Claims("x" * 1_000_000, "unknown", None, None)),
    ],
)
def test_claims_are_read_where_they_stand(payload: object, claims: Claims) -> None:
    """Each has its place and its second place; of the wrong type or empty, it counts as absent."""
    assert parse_claims(jwt(payload)) == claims


@pytest.mark.parametrize(
    ("claim", "plan"),
    [
        ("free", "free"),
        ("enterprise_cbp_usage_based", "enterprise_cbp_usage_based"),
        ("sci_plus", "sci_plus"),
        ("hc", "enterprise"),
        ("education", "edu"),
        ("unknown", "unknown"),
        ("guest", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_plan_has_a_name_that_clients_know(claim: str | None, plan: str) -> None:
    """Two plans have another name in tokens; what clients cannot know is `unknown`."""
    assert parse_plan(claim) == plan


MALFORMED = [
    "",
    "a",
    "a.b",
    "a.b.c.d",
    "a.e30",
    "a.e30.c.d",
    "..",
    "a..c",
    ".e30.c",
    "a.e30.",
    "a.A.c",
    "a.!!!!.c",
    "a.é.c",
    "a.\ud800.c",
    "a.e30 .c",
    jwt(b"").reveal(),
    jwt(b"no json").reveal(),
    jwt([]).reveal(),
    jwt("text").reveal(),
    jwt(b"\xff").reveal(),
    jwt(b'{"email":"\xff"}').reveal(),
    jwt(b'{"email":"\\ud800"}').reveal(),
    jwt(b'{"a":1e400}').reveal(),
    jwt(b"[" * 100_000).reveal(),
    jwt(b'{"a":' * 100_000).reveal(),
]


@pytest.mark.parametrize("token", MALFORMED, ids=lambda token: ascii(token[:24]))
def test_what_is_no_token_is_refused_in_the_words_of_codex(token: str) -> None:
    """Three parts with an object in the middle, or else the one text."""
    with pytest.raises(MalformedToken, match=r"^invalid ID token format$"):
        parse_claims(Secret(token))


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda payload: jwt(payload).reveal()))
def test_any_text_is_claims_or_malformed(token: str) -> None:
    """Nothing but MalformedToken is raised."""
    with contextlib.suppress(MalformedToken):
        assert parse_claims(Secret(token)).plan


def test_a_payload_is_given_whole() -> None:
    """Other readers of a token, as of its expiry, find everything in it."""
    assert parse_payload(jwt({"exp": 1, "x": [None]})) == {"exp": 1, "x": [None]}


# The token endpoint

TOKENS = {"id_token": "i-" + CANARY, "access_token": "a-" + CANARY, "refresh_token": "r-" + CANARY}


def refusal(status: int, body: bytes) -> RemoteRefused:
    """Give the exception with which an answer is refused."""
    with pytest.raises(RemoteRefused) as caught:
        parse_token_response(status, body)
    return caught.value


def test_tokens_are_read() -> None:
    """Three tokens, whatever else is there, and none of them in text."""
    tokens = parse_token_response(200, json.dumps(TOKENS | {"expires_in": 1, "scope": None}).encode())
    assert tokens == TokenSet(*(Secret(token) for token in TOKENS.values()))
    assert CANARY not in repr(tokens)


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("value", ["absent", None, "", 5, ["x"]], ids=repr)
def test_a_token_that_is_missing_makes_the_answer_invalid(name: str, value: object) -> None:
    """All three must be there, and be text; nobody is logged in with an empty token."""
    answer = TOKENS | {name: value}
    if value == "absent":
        del answer[name]
    error = refusal(200, json.dumps(answer).encode())
    assert (str(error), error.status) == ("OAuth token response is invalid", 0)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b'{"id_token":"\xff"}', b"[" * 100_000])
def test_a_success_that_is_no_json_is_invalid(body: bytes) -> None:
    """A 200 with a page of a captive portal is no login."""
    assert str(refusal(200, body)) == "OAuth token response is invalid"


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        # Recorded: a code that came too late.
        (400, b'{"error":"invalid_grant","error_description":"code expired"}', "400 Bad Request: code expired"),
        (400, b'{"error":{"message":"words","code":"c"}}', "400 Bad Request: words"),
        (400, b'{"error":"invalid_grant"}', "400 Bad Request: invalid_grant"),
        (400, b'{"error":{"code":"c"}}', "400 Bad Request: c"),
        (400, b'{"error_description":"","error":"e"}', "400 Bad Request: e"),
        (403, b'{"detail":"words"}', "403 Forbidden: words"),
        (400, b'{"error":5,"code":[]}', "400 Bad Request: an answer of 21 bytes that is not understood"),
        (502, b"<html>no</html>\n", "502 Bad Gateway: an answer of 16 bytes that is not understood"),
        (500, b"", "500 Internal Server Error: unknown error"),
        (500, b"  \n", "500 Internal Server Error: unknown error"),
        (500, b"\xff", "500 Internal Server Error: an answer of 1 bytes that is not understood"),
        (302, b"", "302 Found: unknown error"),
        (599, b"[]", "599: an answer of 2 bytes that is not understood"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_the_words_of_codex(status: int, body: bytes, text: str) -> None:
    """Status, then the issuer's own description, message or code; nothing else of a body, whatever it is."""
    error = refusal(status, body)
    assert (str(error), error.status) == (f"token endpoint returned status {text}", status)


def test_the_words_of_a_refusal_are_one_short_line() -> None:
    """An error's text goes to every client, to logs and to terminals."""
    assert describe_oauth_error(b'{"error_description":"\\u001b[2Jno\\r\\n%b"}' % (b"x" * 100_000)) == (
        "[2Jno " + "x" * 193 + "…"
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"code":"Refresh_Token_Reused"}}', "refresh_token_reused"),
        (b'{"error":"SLOW_DOWN"}', "slow_down"),
        (b'{"code":"c"}', "c"),
        (b'{"error":{"message":"words"},"code":"c"}', "c"),
        (b'{"error":{"code":5},"code":"c"}', "c"),
        (b'{"error":{"code":"a"},"code":"c"}', "a"),
        (b'{"error":"","code":"c"}', "c"),
        (b'{"error":5}', None),
        (b'{"error":{}}', None),
        (b"{}", None),
        (b"[]", None),
        (b"\xff", None),
        (b'{"error":"\xff"}', None),
        (b"", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_code_of_a_refusal_has_three_places(body: bytes, code: str | None) -> None:
    """`error.code`, else a string `error`, else `code`; in lower case, and None for anything else."""
    assert parse_oauth_error_code(body) == code


def bad_answers() -> list[bytes]:
    """Write answers with a token in them that cannot be understood."""
    wrong_types: list[dict[str, Any]] = [
        TOKENS | {"refresh_token": value} for value in (None, [CANARY], {CANARY: 1})
    ]
    answers = [json.dumps(answer).encode() for answer in wrong_types]
    whole = json.dumps(TOKENS).encode()
    return [*answers, whole[:-1], whole[:-2] + b'\xff"}', whole + whole]


@pytest.mark.parametrize("body", bad_answers())
def test_no_exception_carries_a_token(body: bytes) -> None:
    """Message, repr and traceback are free of what the answer held, and no cause is chained to them."""
    payload = jwt(body[:-1])
    with pytest.raises(MalformedToken) as caught:
        parse_claims(payload)
    for failure in (refusal(200, body), caught.value):
        assert failure.__cause__ is None
        report = f"{failure} {failure!r} {''.join(traceback.format_exception(failure))}"
        assert CANARY not in report
        assert payload.reveal() not in report
