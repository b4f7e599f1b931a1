"""A secret is in no text that is told, in whatever form somebody put it there."""

from __future__ import annotations

import base64
import gc
import json
import urllib.parse
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.redaction import MAX_TEXT, MAX_WORDS, quote, redact
from accountd.secret import SHORTEST, Secret, living_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET: Final = "Zq8-canary/5f0c+7e1d==.x_~Y"
"""It has a letter of every kind that some form writes otherwise."""

PART: Final = 16
"""Characters of a long secret, by which it could be told from others."""

FORMS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": str,
    "json": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "json in upper case": lambda text: "".join(f"\\u{ord(c):04X}" for c in text),
    "slashes of json": lambda text: json.dumps(text).replace("/", "\\/"),
    "json in json": lambda text: json.dumps(json.dumps("".join(f"\\u{ord(c):04x}" for c in text))),
    "python": lambda text: repr(f"Bearer {text}\n".encode()),
    "python in octal": lambda text: "".join(f"\\{ord(c):03o}" for c in text),
    "python in eight digits": lambda text: "".join(f"\\U{ord(c):08x}" for c in text),
    "javascript": lambda text: "".join(f"\\u{{{ord(c):x}}}" for c in text),
    "python in hexadecimal": lambda text: "".join(f"\\x{ord(c):02x}" for c in text),
    "url": lambda text: "".join(f"%{ord(c):02x}" for c in text),
    "what is unsafe in urls": lambda text: urllib.parse.quote(text, safe=""),
    "url in url": lambda text: urllib.parse.quote(urllib.parse.quote("".join(f"%{ord(c):02X}" for c in text))),
    "form": lambda text: urllib.parse.urlencode({"code": text}),
    "html": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "html without its ends": lambda text: "".join(f"&#{ord(c)}" for c in text),
    "html in hexadecimal": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 with a name": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64 in base64": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64 in url": lambda text: urllib.parse.quote(base64.b64encode(text.encode()).decode()),
    "hexadecimal": lambda text: text.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("around", ["{}", "I will not take {} again", 'x{}x, "{}"'])
def test_a_secret_is_found_in_every_form(form: str, around: str) -> None:
    """Nothing of it is left, and what stood around it is."""
    secret = Secret(SECRET)
    text = redact(around.replace("{}", FORMS[form](secret.reveal())))
    assert len(text) <= len(around) + 20 * around.count(
        "{}"
    )  # what a form puts around it, and not the end of an escape
    assert not [
        part for part in (SECRET[i : i + 6] for i in range(len(SECRET) - 6)) if part in text or part.lower() in text
    ]
    assert "..." in text
    assert text.startswith(around.partition("{}")[0].removesuffix("x"))


@pytest.mark.parametrize("odd", ["{}\n", "\0{}", " {} ", "{}é", "ß{}", "{}\u2028"])
def test_one_that_no_header_can_carry_is_found(odd: str) -> None:
    """With what a file or a careless program puts around it, and without that, as a library quotes it."""
    secret = Secret(odd.replace("{}", SECRET))
    for text in (
        secret.reveal(),
        secret.reveal().strip(" \n\0"),
        f"Illegal header value {f'Bearer {secret.reveal()}'.encode()!r}",
        json.dumps(secret.reveal()),
        urllib.parse.quote(secret.reveal()),
    ):
        assert SECRET[4:10] not in redact(text)


def test_a_good_part_of_one_is_found() -> None:
    """Of a token what was cut off at either end is found as well, be it long."""
    secret = Secret("header." + "".join(f"{number:04x}" for number in range(40_000, 41_000)) + ".signature")
    token = secret.reveal()
    for begin in range(0, len(token) - 40, 37):
        cut = token[begin : begin + 31]
        assert redact(f"an answer that ends in {cut}") == "an answer that ends in ..."
        assert redact(f"an answer with {cut}{token[:50]}") == "an answer with ..."
    assert redact(token * 20) == "...…"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sent eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln to it", "sent ... to it"),
        ("sent eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. to it", "sent ... to it"),
        ("the key sk-proj-12345 is not good", "the key ... is not good"),
        ("rt_0123456789abcdef0123 was spent", "... was spent"),
        ("Authorization: Bearer 0123456789abcdef0123", "Authorization: Bearer ..."),
        ("b'Bearer 0123456789abcdef0123'", "b'Bearer ...'"),
        ("GET /cb?code=0123456789abcdef0123&x=1", "GET /cb?code=...&x=1"),
        ("GET /cb?code%3D0123456789abcdef0123%26x", "GET /cb?code%3D...%26x"),
        ('{"refresh_token": "0123456789abcdef0123"}', '{"refresh_token": "..."}'),
        ('{\\"refresh_token\\":\\"0123456789abcdef0123\\"}', '{\\"refresh_token\\":\\"...\\"}'),
    ],
)
def test_what_looks_like_a_token_is_not_told(text: str, told: str) -> None:
    """One that this process never held, such as somebody else's."""
    assert redact(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Invalid request: unknown variant `account/login/begin`, expected one of `account/login/start`",
        "the login 123e4567-e89b-12d3-a456-426614174000 has completed",
        "/home/somebody/.codex/log/accountd-requirements.json: cannot be read: Permission denied (os error 13)",
        "GET https://chatgpt.com/backend-api/wham/rate-limit-reset-credits/consume failed: 401 Unauthorized",
        "Bearer authentication is required; see the code of your organisation",
        "100% of \\ & < é 漢字 a%20b &amp; \\u",
        "failed to request device code: /etc/ssl/certs/ca-certificates.crt, of SSL_CERT_FILE, cannot be read",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    """What is no secret is told in its own words and escapes."""
    secrets = [Secret("no-part-of-it-" * 20), Secret("at")]
    assert redact(text) == text
    assert secrets


@given(st.text())
def test_no_text_is_too_much(text: str) -> None:
    """Whatever it is, it becomes a text that is not long, and once more changes nothing."""
    redacted = redact(text)
    assert len(redacted) <= MAX_TEXT + 1
    assert redact(redacted) == redacted


def test_a_secret_at_the_cut_is_found() -> None:
    """A long text is cut, and a secret is not halved so that it is no longer known."""
    secret = Secret(SECRET)
    for shift in range(2 * len(SECRET)):
        text = redact("x " * (MAX_TEXT // 2 - 15) + "y" * shift + " " + secret.reveal() + " z" * 10_000)
        assert SECRET[:4] not in text
        assert text.startswith("x x x")
        assert len(text) <= MAX_TEXT + len("...…")


@given(st.text())
def test_a_strangers_words_are_one_printable_line(text: str) -> None:
    """Nothing invisible is left, nothing is long, and to quote it once more changes nothing."""
    line = quote(text)
    assert line.isprintable()
    assert len(line) <= MAX_WORDS
    assert quote(line) == line


def test_only_the_living_are_looked_for() -> None:
    """A secret is known as long as somebody holds it, and not kept for that; of two alike, while one is left."""
    text = "canary-that-only-this-test-has"
    first, second = Secret(text), Secret(text)
    assert first in living_secrets()
    del first
    assert redact(text) == "..."
    del second
    gc.collect()
    assert redact(text) == text
    short = Secret("x" * (SHORTEST - 1))
    assert short not in living_secrets()


def test_what_is_too_short_to_be_a_secret_is_a_word() -> None:
    """It could be in any text by chance, and would take it apart; a line break makes it no longer."""
    short = Secret("x" * (SHORTEST - 1) + "\n")
    assert redact(f"a {short.reveal()} b") == f"a {short.reveal()} b"
