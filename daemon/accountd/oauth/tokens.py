"""Token sets, and what the token endpoint answers. What is in a token is read in `claims`."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeVar

import msgspec

from accountd.errors import RemoteRefused, describe_status
from accountd.foreign_json import ABSENT, Undecodable, decode, read_member
from accountd.oauth.fields import Uncarried, check_token
from accountd.redaction import quote
from accountd.secret import Secret

MAX_ERROR: Final = 64 << 10
"""Bytes of an error answer of the issuer's that are looked at; one has a few hundred."""


class TokenSet(msgspec.Struct, frozen=True):
    """What one login, or one refresh, got from the issuer."""

    id_token: Secret
    access_token: Secret
    refresh_token: Secret


_Token = Annotated[str, msgspec.Meta(min_length=1)]
_ResponseT = TypeVar("_ResponseT", bound=msgspec.Struct)


class _TokenResponse(msgspec.Struct):
    id_token: _Token
    access_token: _Token
    refresh_token: _Token


def parse_token_response(status: int, body: bytes) -> TokenSet:
    """Read the answer to a code exchange (RFC 6749 sections 5.1 and 5.2). Raises RemoteRefused."""
    answer = _parse_response(status, body, _TokenResponse)
    tokens = TokenSet(Secret(answer.id_token), Secret(answer.access_token), Secret(answer.refresh_token))
    _check_given("the ID token", tokens.id_token)
    _check_given("the access token", tokens.access_token)
    _check_given("the refresh token", tokens.refresh_token)
    return tokens


class _ApiKeyResponse(msgspec.Struct):
    access_token: _Token


def parse_api_key_response(status: int, body: bytes) -> Secret:
    """Read the answer to an exchange for an API key (RFC 8693 section 2.2). Raises RemoteRefused."""
    key = Secret(_parse_response(status, body, _ApiKeyResponse).access_token)
    _check_given("the API key", key)
    return key


def _check_given(name: str, token: Secret) -> None:
    try:
        check_token(name, token)
    except Uncarried as error:
        raise RemoteRefused(f"what the issuer gave cannot be used: {error}", 0) from None


def _parse_response(status: int, body: bytes, wanted: type[_ResponseT]) -> _ResponseT:
    if not 200 <= status < 300:
        raise RemoteRefused(
            f"token endpoint returned status {describe_status(status)}: {describe_oauth_error(body)}",
            status,
        )
    try:
        return decode(body, wanted)
    except Undecodable:
        raise RemoteRefused("OAuth token response is invalid", 0) from None


class _ErrorObject(msgspec.Struct):
    message: msgspec.Raw = ABSENT
    code: msgspec.Raw = ABSENT


class _ErrorAnswer(msgspec.Struct):
    error: msgspec.Raw = ABSENT
    error_description: msgspec.Raw = ABSENT
    detail: msgspec.Raw = ABSENT
    code: msgspec.Raw = ABSENT

    @property
    def nested(self) -> _ErrorObject:
        """What the error is, where that is an object."""
        return read_member(self.error, _ErrorObject) or _ErrorObject()


_TITLE: Final = re.compile(r"<title\b[^>]{0,200}>([^<]{1,1000})", re.IGNORECASE)
_PAGE_START: Final = 16 << 10  # bytes of a page in which its title is looked for


def describe_oauth_error(body: bytes) -> str:
    """Quote the words of an error answer, or of a page its title. Nothing else of a body is ever told."""
    if words := find_words(body) or describe_page(body):
        return words
    return f"an answer of {len(body)} bytes that is not understood" if body.strip() else "unknown error"


def find_words(body: bytes) -> str | None:
    """Quote the description, message or code of an error answer, if it has any."""
    answer = _parse_error(body)
    nested = answer.nested
    candidates = (answer.error_description, nested.message, answer.detail, answer.error, nested.code)
    return next((words for each in candidates if (words := quote(read_member(each, str) or ""))), None)


def describe_page(body: bytes) -> str | None:
    """Tell a page by its title; None for what is none. It is of a proxy, or of whoever guards the issuer."""
    start = body[:_PAGE_START].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if not start.startswith("<"):
        return None
    import html  # has the names of two thousand letters, and few answers are pages

    match = _TITLE.search(start)
    title = quote(html.unescape(match[1])) if match else ""
    return f'a page with the title "{title}"' if title else "a page without a title"


def parse_oauth_error_code(body: bytes) -> str | None:
    """Find the machine-readable code of an error answer: `error.code`, else a string `error`, else `code`."""
    answer = _parse_error(body)
    for candidate in (answer.nested.code, answer.error, answer.code):
        if code := read_member(candidate, str):
            return code.lower()
    return None


def _parse_error(body: bytes) -> _ErrorAnswer:
    """Read an error answer; one that cannot be read says nothing."""
    try:
        return decode(body, _ErrorAnswer, MAX_ERROR)
    except Undecodable:
        return _ErrorAnswer()
