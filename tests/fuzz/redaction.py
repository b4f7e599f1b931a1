"""Target: a secret that somebody repeats, in whatever form, among whatever else, is in no text that is told."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote as escape_for_urls

import msgspec

from accountd.errors import RefreshError, RemoteRefused
from accountd.oauth.refresh import parse_refresh_response
from accountd.oauth.tokens import parse_token_response
from accountd.redaction import MAX_TEXT, MAX_WORDS, quote, redact
from accountd.secret import Secret
from fuzz.pieces import choose

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORT: Final = Secret("Zq8-canary/5f0c+7e1d==.x_~Y")
_LONG: Final = Secret("Kx9." + base64.urlsafe_b64encode(bytes(range(255, 0, -1)) * 3).decode() + ".Sig_1")
_PART: Final = 16
"""Letters in a row by which a secret could be told from others; none of the long one come twice."""

_FORMS: Final[tuple[Callable[[str], str], ...]] = (
    str,
    lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    lambda text: "".join(f"\\x{ord(c):02X}" for c in text),
    lambda text: "".join(f"\\{ord(c):o}" for c in text),
    lambda text: "".join(f"\\U{ord(c):08X}" for c in text),
    lambda text: "".join(f"%{ord(c):02x}" for c in text),
    lambda text: "".join(f"&#{ord(c)};" for c in text),
    lambda text: "".join(f"&#x{ord(c):x}" for c in text),
    lambda text: json.dumps(text).replace("/", "\\/"),
    lambda text: escape_for_urls(text, safe=""),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(f"u:{text}".encode()).decode().rstrip("="),
    lambda text: text.encode().hex(),
)


_HINT: Final = 8
"""Letters that a part begins with, by which it is looked for: there are some two thousand parts."""


def _write_parts(text: str) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for begin in range(0, len(text) - _PART + 1, 5):
        for form in _FORMS:
            written = form(text[begin : begin + _PART])
            parts.setdefault(written[:_HINT], []).append(written)
    return parts


_PARTS: Final = {secret: _write_parts(secret.reveal()) for secret in (_SHORT, _LONG)}


def fuzz_redaction(data: bytes) -> None:
    """Put a secret, in two forms of each other, into a text, and see what an answer with it is told as."""
    tell, rest = choose(data, (_tell, _quote, _tell_exchange, _tell_refresh))
    secret, rest = choose(rest, (_SHORT, _LONG))
    inner, rest = choose(rest, _FORMS)
    outer, rest = choose(rest, _FORMS)
    before, _, after = rest.decode("utf-8", "replace").partition("|")
    told = tell(f"{before} {outer(inner(secret.reveal()))} {after}")
    for begin in range(len(told)):
        for part in _PARTS[secret].get(told[begin : begin + _HINT], ()):
            # the fuzzer learns the secret, and writes parts of it that are too short to be known for some
            assert part in before or part in after or not told.startswith(part, begin), told
    assert msgspec.json.encode(told)


def _tell(text: str) -> str:
    told = redact(text)
    assert len(told) <= MAX_TEXT + len("...…")
    return told


def _quote(text: str) -> str:
    told = quote(text)
    assert len(told) <= MAX_WORDS
    return told


def _tell_exchange(text: str) -> str:
    try:
        parse_token_response(400, _answer(text))
    except RemoteRefused as error:
        return str(error)
    raise AssertionError("it is taken for tokens")


def _tell_refresh(text: str) -> str:
    try:
        parse_refresh_response(500, _answer(text))
    except RefreshError as error:
        return str(error)
    raise AssertionError("it is taken for tokens")


def _answer(text: str) -> bytes:
    return json.dumps({"error": {"message": text}}).encode()
