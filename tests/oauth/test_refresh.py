"""When a refresh is due, and what the issuer's answer to one means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import RefreshFailed, RefreshRefused
from accountd.oauth.refresh import (
    MARGIN,
    MAX_AGE,
    Refreshed,
    find_due_time,
    parse_refresh_response,
)
from accountd.secret import Secret

CANARY = "canary-token"


def test_a_token_is_due_five_minutes_before_it_expires() -> None:
    """Its own expiry decides, and the age of the last refresh does not, however great."""
    assert find_due_time(10_000, "1970-01-01T00:00:00Z") == 10_000 - MARGIN
    assert find_due_time(10_000.5, None) == 10_000.5 - MARGIN


@pytest.mark.parametrize(
    ("last_refresh", "due"),
    [
        ("1970-01-01T00:01:40Z", 100 + MAX_AGE),
        ("1970-01-01T00:01:40.5Z", 100.5 + MAX_AGE),
        ("1970-01-01T00:01:40.812286324Z", 100.812286 + MAX_AGE),
        ("1970-01-01T01:01:40.25+01:00", 100.25 + MAX_AGE),
        ("yesterday", None),
        ("0001-01-01T00:00:00", None),  # a time without a zone, of which some zones have no such second
        ("", None),
        (None, None),
    ],
)
def test_without_an_expiry_the_last_refresh_decides(last_refresh: str | None, due: float | None) -> None:
    """Eight days after it, in whichever precision it was written; unreadable, and nothing is due."""
    assert find_due_time(None, last_refresh) == due


def test_what_the_issuer_leaves_out_stays_as_it_was() -> None:
    """All three tokens are optional; an empty one counts as left out."""
    body = b'{"access_token": "a", "refresh_token": "", "expires_in": 5}'
    assert parse_refresh_response(200, body) == Refreshed(access_token=Secret("a"))


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (401, {"error": {"code": "refresh_token_reused"}}, "because your refresh token was already used."),
        (400, {"error": "refresh_token_expired"}, "because your refresh token has expired."),
        (403, {"code": "REFRESH_TOKEN_INVALIDATED"}, "because your refresh token was revoked."),
        (503, {"error": {"code": "refresh_token_reused"}}, "because your refresh token was already used."),
        (400, {"error": "invalid_grant"}, "Your access token could not be refreshed. Please"),
        (400, {"error": {"code": "Invalid_Grant"}}, "Your access token could not be refreshed. Please"),
        (400, {"code": "INVALID_GRANT"}, "Your access token could not be refreshed. Please"),
        (401, {"error": {"code": "other"}}, "Your access token could not be refreshed. Please"),
        (401, None, "Your access token could not be refreshed. Please"),
    ],
)
def test_a_refusal_is_told_by_its_code_or_by_401(status: int, body: object, text: str) -> None:
    """The three codes count with any status, `invalid_grant` with 400, in each place where the issuer puts them."""
    with pytest.raises(RefreshRefused) as caught:
        parse_refresh_response(status, json.dumps(body).encode())
    assert text in str(caught.value)
    assert str(caught.value).endswith("Please log out and sign in again.")


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (
            500,
            b"{}",
            "Failed to refresh token: 500 Internal Server Error: an answer of 2 bytes that is not understood",
        ),
        (403, b'{"error": "invalid_grant"}', "Failed to refresh token: 403 Forbidden: invalid_grant"),
        (
            429,
            b'{"code": "invalid_grant"}',
            "Failed to refresh token: 429 Too Many Requests: an answer of 25 bytes that is not understood",
        ),
        (400, b'{"error": "invalid_request"}', "Failed to refresh token: 400 Bad Request: invalid_request"),
        (302, b"", "Failed to refresh token: 302 Found: unknown error"),
        (200, b"rubbish", "the answer to the refresh could not be understood"),
    ],
)
def test_everything_else_may_be_tried_again(status: int, body: bytes, text: str) -> None:
    """Also `invalid_grant` with another status than 400, as in the peer."""
    with pytest.raises(RefreshFailed) as caught:
        parse_refresh_response(status, body)
    assert str(caught.value) == text


def test_of_an_answer_that_cannot_be_used_the_refresh_token_is_kept() -> None:
    """The one that was sent is spent. One that cannot be used itself is not."""
    with pytest.raises(RefreshFailed) as caught:
        parse_refresh_response(200, b'{"access_token": "a\\n", "refresh_token": "r"}')
    assert caught.value.rotated == Secret("r")
    with pytest.raises(RefreshFailed) as caught:
        parse_refresh_response(200, b'{"access_token": "a", "refresh_token": "r\\n"}')
    assert caught.value.rotated is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"access_token": "a", "refresh_token": "r", "id_token": 5}', Refreshed(None, Secret("a"), Secret("r"))),
        (b'{"access_token": "a", "refresh_token": "r", "x": "\xff"}', Refreshed(None, Secret("a"), Secret("r"))),
        (b'{"access_token": {}, "refresh_token": "r"}', None),
        (b'{"access_token": true, "refresh_token": "r"}', None),
    ],
)
def test_a_member_of_the_wrong_type_loses_nothing_beside_it(body: bytes, expected: Refreshed | None) -> None:
    """The refresh token is kept, whatever came with it: the one that was sent is spent."""
    if expected is not None:
        assert parse_refresh_response(200, body) == expected
        return
    with pytest.raises(RefreshFailed, match="the access token is no text") as caught:
        parse_refresh_response(200, body)
    assert caught.value.rotated == Secret("r")


def test_a_token_in_a_broken_answer_is_not_quoted() -> None:
    """The error, and what it was raised from, say nothing of the answer's content."""
    with pytest.raises(RefreshFailed) as caught:
        parse_refresh_response(200, b'{"access_token": ["' + CANARY.encode() + b'"]}')
    assert CANARY not in repr(caught.value)
    assert caught.value.__context__ is None


@given(st.integers(100, 599), st.binary())
def test_no_answer_raises_anything_else(status: int, body: bytes) -> None:
    """Whatever an issuer answers, it is tokens, a refusal or a failure."""
    try:
        parse_refresh_response(status, body)
    except (RefreshRefused, RefreshFailed):
        return
