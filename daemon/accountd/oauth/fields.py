"""What of a credential a header field can carry (RFC 9110 section 5.5), asked at every door where one comes in.

A token that ends in the newline of its file, or has a letter in it that is no ASCII, is good for no request.
Unasked, that would show long after, in the words of a library that quotes it. So it is taken neither from a client,
nor from the issuer, nor from what is stored. Nothing is cut off to make it fit: what is sent is what came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from accountd.secret import Secret

MAX_TOKEN: Final = 16 << 10
"""Characters of a token or key. Those known have some 2,000, and few servers take a field of more than this."""

MAX_ID: Final = 256
"""Characters of the id of an account, which is a UUID."""

_CARRIED: Final = re.compile(r"[!-~]*")


class Uncarried(ValueError):
    """No header field can carry this. The message says what it is and why, and does not quote it."""


def check_token(name: str, token: Secret) -> None:
    """Raise Uncarried for a token or key that no field can carry; `name` is what to call it."""
    _check(name, token.reveal(), MAX_TOKEN)


def check_id(name: str, text: str) -> None:
    """Raise Uncarried for an account's id that no field can carry."""
    _check(name, text, MAX_ID)


def _check(name: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise Uncarried(f"{name} is longer than {limit} characters, so no request can carry it")
    if _CARRIED.fullmatch(text) is None:
        raise Uncarried(f"{name} {_describe(text)}, so no request can carry it")


def _describe(text: str) -> str:
    if text.endswith(("\n", "\r")):
        return "ends in a line break"
    if text != text.strip():
        return "begins or ends with a blank"
    if _CARRIED.fullmatch("".join(text.split())):
        return "has a blank in it"
    return "has a character in it that is not printable ASCII"
