"""What comes to the port of a browser login: the issuer's redirect, and requests of browsers and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from accountd.oauth.callback import parse_request
from accountd.secret import Secret

if TYPE_CHECKING:
    from accountd.oauth.callback import Outcome

PORT = 1455
STATE = "st4te-bl4h-_0123456789012345678901234567890"
CODE = "ac_c4nary-7d1e"
REDIRECT_URI = "http://127.0.0.1:1455/auth/callback"
HOST = (b"host", b"127.0.0.1:1455")
CHROMIUM = (
    (b"upgrade-insecure-requests", b"1"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"),
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
)
OF_A_PAGE = [
    (b"origin", b"https://evil.example"),
    (b"origin", b"null"),
    (b"origin", b"http://127.0.0.1:1455"),
    (b"referer", b"https://evil.example/"),
    (b"sec-fetch-site", b"cross-site"),
    (b"sec-fetch-site", b"same-site"),
    (b"sec-fetch-site", b"same-origin"),
    (b"sec-fetch-site", b"none"),
    (b"user-agent", b"Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/15.0 Safari/605.1.15"),
]
"""What each betrays a browser, alone."""


def request(
    target: str | bytes,
    *headers: tuple[bytes, bytes],
    method: bytes = b"GET",
    host: tuple[tuple[bytes, bytes], ...] = (HOST,),
) -> Outcome:
    """Ask the listener of a login whose state is STATE."""
    raw = target.encode() if isinstance(target, str) else target
    return parse_request(method, raw, [*host, *headers], PORT, Secret(STATE))


def callback(query: str | None = None, **parameters: str) -> Outcome:
    """Ask for the callback with a query, or with these parameters and the right state."""
    return request("/auth/callback?" + (urlencode({"state": STATE, **parameters}) if query is None else query))
