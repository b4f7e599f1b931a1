"""One HTTP request and its answer as values, and what every endpoint needs to read the one and write the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from accountd.foreign_json import UNDECODABLE, read_member

_NO_HEADERS: Final[Mapping[str, str]] = {}


class Request(msgspec.Struct, frozen=True):
    """A whole request. `path` and `query` are as on the wire; header names are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes = b""
    scheme: str = "http"

    @property
    def origin(self) -> str:
        """The URL of this sandbox as the client knows it, without a path."""
        return f"{self.scheme}://{self.headers.get('host', '127.0.0.1')}"

    def __repr__(self) -> str:
        return f"<{self.method} {self.path}>"  # headers, query and body may hold tokens


class Response(msgspec.Struct, frozen=True):
    """A whole answer, but for how long it is.

    One with `pieces` has these in place of a body: each is sent by itself, `pause` seconds after the last.
    """

    status: int
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes = b""
    pieces: Iterable[bytes] | None = None
    pause: float = 0.0

    def __repr__(self) -> str:
        return f"<{self.status}, {len(self.body)} bytes>"  # the body may hold tokens


class ConnectionDropped(Exception):
    """The script wants this request's connection closed without an answer."""


class Refused(Exception):
    """A request ends here, with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def render_json(status: int, value: object) -> Response:
    """Answer with JSON, which no cache may keep (RFC 6749 section 5.1)."""
    return Response(
        status,
        {
            "content-type": "application/json",
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
        msgspec.json.encode(value),
    )


def render_oauth_error(error: str, description: str, status: int = 400) -> Response:
    """Answer with an error as RFC 6749 section 5.2 writes it."""
    return render_json(status, {"error": error, "error_description": description})


def render_coded_error(status: int, code: str, message: str | None = None) -> Response:
    """Answer with an error as the issuer and the backend write most of theirs."""
    return render_json(status, {"error": {"code": code} | ({"message": message} if message else {})})


def parse_fields(request: Request) -> dict[str, str]:
    """Read the text fields of a JSON object or a form, whichever Content-Type says. Raises Refused.

    Fields of another type are left out, so whoever needs one finds it missing.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    match media_type:
        case "application/json":
            return _parse_json(request.body)
        case "application/x-www-form-urlencoded":
            return _parse_form(request.body)
    raise Refused(
        render_oauth_error("invalid_request", "Content-Type must be application/json or a URL-encoded form", 415)
    )


def _parse_json(body: bytes) -> dict[str, str]:
    try:
        members = msgspec.json.decode(body.decode(), type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise Refused(render_oauth_error("invalid_request", "the body is not a JSON object")) from None
    except UNDECODABLE:
        raise Refused(render_oauth_error("invalid_request", "the body is not JSON")) from None
    return {name: text for name, member in members.items() if (text := read_member(member, str)) is not None}


def _parse_form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise Refused(render_oauth_error("invalid_request", "the body is not a URL-encoded form")) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):  # RFC 6749 section 3.2
        raise Refused(render_oauth_error("invalid_request", "a parameter is there more than once"))
    return fields


def need(fields: Mapping[str, str], name: str) -> str:
    """Return a field that must be there and not be empty. Raises Refused, naming it."""
    if value := fields.get(name):
        return value
    raise Refused(render_oauth_error("invalid_request", f"{name} is missing"))
