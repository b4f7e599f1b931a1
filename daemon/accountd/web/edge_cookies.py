"""The cookies of the edge before the backend, a network's that may take a request without them for a robot's.

They are no part of a login. So only the edge's own names are taken, of its own hosts, over https; in memory alone,
for as long as requests are made with the same access token: whoever comes with another one begins without any, be
it another person, or the same after a logout. What the attributes of a cookie mean, the standard library knows.

Imported when the first cookie comes: the modules that it stands on are loaded with httpx by then.
"""

from __future__ import annotations

import re
from email.message import Message
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, cast
from urllib.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterable
    from http.client import HTTPResponse
    from http.cookiejar import Cookie

    from accountd.secret import Secret

_HOSTS: Final = ("chatgpt.com", "chat.openai.com")
_NAMES: Final = re.compile(
    r"__cf(?:_bm|lb|ruid|seq|waitingroom)|_cfuvid|cf_(?:clearance|ob_info|use_ob)|cf_chl_[\w-]+", re.ASCII
)

MAX_COOKIES: Final = 4096
"""Characters of all cookies, with their domains and paths. The edge's have some 800; servers take 16,000."""


class EdgeCookies:
    """What the edge has set, for one access token at a time."""

    def __init__(self) -> None:
        self._jar = CookieJar(_EdgePolicy(self))
        self._token: Secret | None = None

    def render(self, url: str, token: Secret) -> str | None:
        """Write the `Cookie` field of a request with this token, if there is anything to send."""
        self._belong_to(token)
        request = Request(url)  # noqa: S310 - it is not opened
        if _is_edge(request):
            self._jar.add_cookie_header(request)
        return request.get_header("Cookie")

    def take(self, url: str, token: Secret, fields: Iterable[str]) -> None:
        """Take the `Set-Cookie` fields of an answer to a request with this token."""
        self._belong_to(token)
        self._jar.clear_expired_cookies()
        for field in fields:  # one by one, since a later one counts
            answer = cast("HTTPResponse", _Answer(field))
            self._jar.extract_cookies(answer, Request(url))  # noqa: S310 - likewise

    def _belong_to(self, token: Secret) -> None:
        if token != self._token:
            self._jar.clear()
            self._token = token

    def has_room(self, cookie: Cookie) -> bool:
        """Return True if there is room for a cookie, in the place of the one that it replaces."""
        place = (cookie.domain, cookie.path, cookie.name)
        others = (each for each in self._jar if (each.domain, each.path, each.name) != place)
        return _measure(cookie) + sum(map(_measure, others)) <= MAX_COOKIES


class _EdgePolicy(DefaultCookiePolicy):
    """Takes what is the edge's, by the rules that browsers have."""

    def __init__(self, cookies: EdgeCookies) -> None:
        super().__init__(strict_ns_domain=self.DomainStrictNonDomain)  # where no domain is named, it is one host
        self._cookies = cookies

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        """See http.cookiejar."""
        return (
            _is_edge(request)
            and _is_edge_host(cookie.domain.removeprefix("."))
            and _NAMES.fullmatch(cookie.name) is not None
            and (cookie.value or "").isascii()
            and super().set_ok(cookie, request)
            and self._cookies.has_room(cookie)
        )


class _Answer:
    """An answer as http.cookiejar wants one, that sets a cookie."""

    def __init__(self, field: str) -> None:
        self._head = Message()
        self._head["Set-Cookie"] = field

    def info(self) -> Message:
        """Return the fields of its head."""
        return self._head


def _is_edge(request: Request) -> bool:
    host = (request.host or "").lower().partition(":")[0]
    return request.type == "https" and _is_edge_host(host)


def _is_edge_host(host: str) -> bool:
    return any(host == edge or host.endswith(f".{edge}") for edge in _HOSTS)


def _measure(cookie: Cookie) -> int:
    return sum(len(text or "") for text in (cookie.name, cookie.value, cookie.domain, cookie.path))
