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


def _write_parts(text: str) -> list[str]:
    parts = [text[begin : begin + _PART] for begin in range(0, len(text) - _PART + 1, 5)]
    return [form(part) for form in _FORMS for part in parts]


_PARTS: Final = {secret: _write_parts(secret.reveal()) for secret in (_SHORT, _LONG)}


def fuzz_redaction(data: bytes) -> None:
    """Put a secret, in two forms of each other, into a text, and see what an answer with it is told as."""
    secret, rest = choose(data, (_SHORT, _LONG))
    inner, rest = choose(rest, _FORMS)
    outer, rest = choose(rest, _FORMS)
    before, _, after = rest.decode("utf-8", "replace").partition("|")
    text = f"{before} {outer(inner(secret.reveal()))} {after}"
    told = redact(text)
    _check(told, secret)
    assert len(told) <= MAX_TEXT + len("...…")
    assert len(quote(text)) <= MAX_WORDS
    body = json.dumps({"error": {"message": text}}).encode()
    try:
        parse_token_response(400, body)
    except RemoteRefused as error:
        _check(str(error), secret)
    try:
        parse_refresh_response(500, body)
    except RefreshError as error:
        _check(str(error), secret)


def _check(told: str, secret: Secret) -> None:
    """Read what is told in each form that one could read it in, and find no part of the secret."""
    for written in _PARTS[secret]:
        assert written not in told, told
    assert msgspec.json.encode(told)
