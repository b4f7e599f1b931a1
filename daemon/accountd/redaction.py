"""The last line of defence: whatever text is told to anybody, no secret is in it.

A secret is a `Secret`, and no text is made of one on purpose. But texts come from elsewhere, too: an issuer, a
backend or a proxy may repeat what it was sent, and need not do so letter by letter. So a text is read in every
common form, as often as one may be wrapped in another: with the escapes of JSON, Python, JavaScript, URLs and HTML,
in base64 and in hexadecimal digits. Where a form shows a secret that this process holds, or a good part of one, or
what has the shape of a token, dots take the place of all that it was made of.

What is on its way to a log, an error or a notification passes here. What a client is meant to have does not.
"""

from __future__ import annotations

import binascii
import re
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from accountd.secret import SHORTEST, living_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Span = tuple[int, int]

MAX_TEXT: Final = 2048
"""Characters of a text that is told. The longest of our own, about a method that nobody knows, is some 1000."""

MAX_WORDS: Final = 200
"""Characters of a stranger's words that are told. A sentence has fewer."""

DOTS: Final = "..."

_MARGIN: Final = 256
"""Characters beyond MAX_TEXT that are read, so that a secret which is cut there is known for one."""

_WRAPPINGS: Final = 4
"""How many escapes may be wrapped in each other."""

_BLOCK: Final = 16
"""Characters. A part of a secret that is twice as long holds one such block, wherever that is looked for."""

_SHAPES: Final = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"  # a JWT, whose header is an object
    r"|\bsk-[\w-]{5,}"  # an API key
    r"|\b(?:rt|ac)[_.][\w.-]{16,}"  # a refresh token, an authorization code
    r"|\bbearer\s+(?P<bearer>[\w.~+/=-]{16,})"
    r"|(?:\b(?:access|refresh|id|subject)_token|\bcode|\bcode_verifier|\bclient_secret|\bdevice_auth_id)"
    r"""["']?\s*[=:]\s*["']?(?P<value>(?!/\w+/)[\w.~+/-]{16,})""",  # and not a path, behind `device code: `
    re.ASCII | re.IGNORECASE,
)
_ESCAPES: Final = re.compile(
    r"(?-i:\\U)000[0-9a-f]{5}|\\u\{[0-9a-f]{1,5}\}|\\[0-3]?[0-7]{1,2}|(?:\\u[0-9a-f]{4})+|(?:\\x[0-9a-f]{2})+"
    r"|(?:%[0-9a-f]{2})+|&#(?:\d{1,7}|x[0-9a-f]{1,6});?|&\w{1,31};|\\[^ux]",
    re.IGNORECASE | re.DOTALL,
)
_CONTROLS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORD: Final = re.compile(rf"[!-~]{{{2 * _BLOCK - 1},}}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{16,}")
_READABLE: Final = re.compile(rb"[!-~]{8}")
_URLSAFE: Final = str.maketrans("-_", "+/")


def redact(text: str) -> str:
    """Return a text without the secrets that this process holds and what looks like one, cut at MAX_TEXT.

    Of a secret with fewer than SHORTEST characters nothing is known here.
    """
    bare = (secret.reveal().strip("\0 \t\r\n") for secret in living_secrets())
    spans = _find(text[: MAX_TEXT + _MARGIN], [secret for secret in bare if len(secret) >= SHORTEST])
    pieces: list[str] = []
    done = 0
    for begin, end in sorted(spans):
        if begin >= MAX_TEXT:
            break
        if begin > done or not pieces:
            pieces += [text[done:begin], DOTS]
        done = max(done, end)
    pieces.append(text[done:MAX_TEXT])
    return "".join(pieces) + ("…" if len(text) > MAX_TEXT else "")


def quote(words: str, most: int = MAX_WORDS) -> str:
    """Make a stranger's words fit to be told: one printable line, no longer than `most`, and redacted."""
    line = " ".join("".join(c if c.isprintable() else " " for c in redact(words)).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _find(text: str, secrets: Sequence[str], depth: int = 2, wrappings: int = _WRAPPINGS) -> Iterator[Span]:
    """Find where a text shows a secret, in whatever form; in base64 and the like in each other to this `depth`."""
    yield from _find_plain(text, secrets, depth)
    if wrappings and (unescaped := _Unescaped(text)).text != text:
        for span in _find(unescaped.text, secrets, depth, wrappings - 1):
            yield unescaped.locate(span)


class _Unescaped:
    """A text with one layer of escapes undone. It is in pieces, of which every second was an escape."""

    def __init__(self, text: str) -> None:
        pieces: list[str] = []
        self._written = [0]  # where each piece begins in what was given
        for match in _ESCAPES.finditer(text):
            pieces += [text[self._written[-1] : match.start()], _read_escapes(match[0])]
            self._written += match.span()
        pieces.append(text[self._written[-1] :])
        self._begins = list(accumulate(map(len, pieces), initial=0))[:-1]
        self.text = "".join(pieces)

    def locate(self, span: Span) -> Span:
        """Return from where to where a part of this was written; an escape is whole."""
        return self._locate_character(span[0])[0], self._locate_character(span[1] - 1)[1]

    def _locate_character(self, place: int) -> Span:
        piece = bisect_right(self._begins, place) - 1
        if piece % 2:
            return self._written[piece], self._written[piece + 1]
        written = self._written[piece] + place - self._begins[piece]
        return written, written + 1


def _read_escapes(escapes: str) -> str:
    match escapes[:2]:
        case "\\u" | "\\U" if len(escapes) % 6 or "{" in escapes:  # of one letter: Python's, JavaScript's
            return chr(int(escapes[2:].strip("{}"), 16))
        case "\\u" | "\\U":
            return bytes.fromhex(escapes.lower().replace("\\u", "")).decode("utf-16-be", "surrogatepass")
        case "\\x" | "\\X":
            return bytes.fromhex(escapes.lower().replace("\\x", "")).decode("utf-8", "replace")
    match escapes[0]:
        case "%":
            return unquote(escapes, errors="replace")
        case "&":
            import html  # has the names of two thousand letters, of which there are few in our texts

            return html.unescape(escapes)
    if escapes[1].isdigit():
        return chr(int(escapes[1:], 8)) if escapes[1] < "8" else escapes[1]
    return _CONTROLS.get(escapes[1], escapes[1])


def _find_plain(text: str, secrets: Sequence[str], depth: int) -> Iterator[Span]:
    """Find secrets in a text whose escapes are taken for what they are."""
    for secret in secrets:
        begin = text.find(secret)
        while begin >= 0:
            yield begin, begin + len(secret)
            begin = text.find(secret, begin + len(secret))
    for match in _SHAPES.finditer(text):
        yield match.span(match.lastgroup or 0)
    for match in _WORD.finditer(text):
        yield from _find_parts(text, match.span(), secrets)
    if depth:
        for pattern, decode in ((_BASE64, _decode_base64), (_HEX, _decode_hex)):
            for match in pattern.finditer(text):
                decoded = (data.decode("utf-8", "replace") for data in decode(match[0]) if _READABLE.search(data))
                if any(True for plain in decoded for _ in _find(plain, secrets, depth - 1)):
                    yield match.span()


def _find_parts(text: str, word: Span, secrets: Sequence[str]) -> Iterator[Span]:
    """Find what a word has in common with a secret, block by block."""
    for begin in range(word[0], word[1] - _BLOCK + 1, _BLOCK):
        block = text[begin : begin + _BLOCK]
        for secret in secrets:
            place = secret.find(block)
            if place >= 0:
                before = _count_common(text[word[0] : begin][::-1], secret[:place][::-1])
                yield begin - before, begin + _count_common(text[begin : word[1]], secret[place:])


def _count_common(one: str, other: str) -> int:
    """Count the characters that two texts begin with alike."""
    sizes = range(1, min(len(one), len(other)) + 1)
    return bisect_right(sizes, False, key=lambda size: one[:size] != other[:size])


def _decode_base64(run: str) -> Iterable[bytes]:
    """Decode a run that may begin in the middle of something, or after a letter that does not belong to it."""
    letters = run.translate(_URLSAFE)
    for begin in range(4):
        rest = letters[begin:]
        yield binascii.a2b_base64(rest[:-1] if len(rest) % 4 == 1 else rest + "=" * (-len(rest) % 4))


def _decode_hex(run: str) -> Iterable[bytes]:
    for begin in range(2):
        yield bytes.fromhex(run[begin : len(run) - (len(run) - begin) % 2])
