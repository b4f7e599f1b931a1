"""Token answers, and the words of the token endpoint's refusals."""

from __future__ import annotations

import base64
import json
import traceback
from typing import Any

import pytest

from accountd.errors import RemoteRefused
from accountd.oauth.claims import MalformedToken, parse_claims
from accountd.oauth.tokens import (
    MAX_ERROR,
    TokenSet,
    describe_oauth_error,
    parse_oauth_error_code,
    parse_token_response,
)
from accountd.secret import Secret

CANARY = "canary-5f0c"
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
        (502, b"<html>no</html>\n", "502 Bad Gateway: a page without a title"),
        (403, b"\n<!DOCTYPE html><TITLE lang='en'>Wait\n a bit&hellip;</TITLE><b>x",
         '403 Forbidden: a page with the title "Wait a bit…"'),
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
    assert describe_oauth_error(b'{"error_description":"\\u001b[2Jno\\r\\n%b"}' % (b"x" * 60_000)) == (
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
    payload = Secret(f"e30.{base64.urlsafe_b64encode(body[:-1]).decode().rstrip('=')}.sig")
    with pytest.raises(MalformedToken) as caught:
        parse_claims(payload)
    for failure in (refusal(200, body), caught.value):
        assert failure.__cause__ is None
        report = f"{failure} {failure!r} {''.join(traceback.format_exception(failure))}"
        assert CANARY not in report
        assert payload.reveal() not in report


def test_an_error_that_is_too_large_is_not_decoded() -> None:
    """It says nothing, as a page would."""
    assert parse_oauth_error_code(b'{"error":"c"}' + b" " * MAX_ERROR) is None
