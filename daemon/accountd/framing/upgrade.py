"""The HTTP with which a WebSocket begins (RFC 6455 section 4): the head of a request, and that of its answer.

One head, which has no body, is all of HTTP that comes to either side. A library for the whole of it takes a
third of the daemon's start to import, and much of what a connection costs. Where RFC 9112 leaves a choice, this is
strict: a head that is folded, announces a body, or says twice what is said once, is refused.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING, Final

import msgspec

from accountd.errors import describe_status
from accountd.framing.text_frame import MAX_FRAME

if TYPE_CHECKING:
    from collections.abc import Mapping

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_VERSION: Final = b"13"

_TOKEN: Final = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"  # RFC 9110 section 5.6.2
_REQUEST_LINE: Final = re.compile(rb"(?P<method>%b) [!-~]+ HTTP/(?P<version>[0-9]\.[0-9])" % _TOKEN)
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 (?P<status>[0-9]{3}(?: [ -~]*)?)")
_FIELD: Final = re.compile(rb"(?P<name>%b):(?P<value>[\t -~\x80-\xff]*)" % _TOKEN)
_ONCE: Final = (
    *(b"host", b"upgrade", b"sec-websocket-key", b"sec-websocket-version", b"content-length"),
    b"sec-websocket-accept",
)
"""Fields that could be read in two ways if they came twice; the others are lists (RFC 9110 section 5.3)."""


class Refused(msgspec.Struct, frozen=True):
    """A request that is no upgrade: what is wrong, and the status that says so."""

    complaint: str
    status: int = 400

    def render(self) -> bytes:
        """Write the answer, which is the last: plain HTTP, so that curl or a browser shows the reason."""
        body = f"This is a WebSocket (RFC 6455): {self.complaint}.\n".encode()
        lines = [
            f"HTTP/1.1 {describe_status(self.status)}".encode(),
            *([b"Sec-WebSocket-Version: " + _VERSION] if self.status == 426 else []),
            b"Connection: close",
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Length: %d" % len(body),
        ]
        return b"\r\n".join([*lines, b"", body])


def render_upgrade(target: bytes, key: bytes) -> bytes:
    """Ask for a WebSocket without extension and subprotocol. The key is 16 random bytes in Base64."""
    return (
        b"GET %b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: %b\r\n\r\n" % (target, key, _VERSION)
    )


def find_refusal(head: bytes, key: bytes) -> str | None:
    """Return why an answer to `render_upgrade` opens no WebSocket; None if it does. The head has its blank line."""
    first, fields = _parse_head(head)
    answer = _STATUS_LINE.fullmatch(first)
    if answer is None or fields is None:
        return "Bad HTTP message"
    if not answer["status"].startswith(b"101"):
        return f"the answer is {answer['status'][:100].decode()}"
    if fields.get(b"upgrade", b"").lower() != b"websocket" or not _asks_upgrade(fields):
        return "the answer upgrades to something else"
    if fields.get(b"sec-websocket-accept") != _prove(key):
        return "the answer is one to another request"
    if b"sec-websocket-extensions" in fields or b"sec-websocket-protocol" in fields:
        return "the answer agrees to what nobody has offered"
    return None


def answer_upgrade(head: bytes) -> bytes | Refused:
    """Accept a WebSocket without extension and subprotocol, or refuse it. The head goes up to its blank line.

    Codex's clients ask for `/rpc`; any target is taken, as Codex does.
    """
    first, fields = _parse_head(head)
    request = _REQUEST_LINE.fullmatch(first)
    if request is None or request["version"] < b"1.1" or fields is None or _announces_body(fields):
        return Refused("Bad HTTP message")
    if request["method"] != b"GET":
        return Refused("Request method must be GET")
    return _find_fault(fields) or (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\nx-codex-websocket-max-unfragmented-message-bytes: %d\r\n\r\n"
        % (_prove(fields[b"sec-websocket-key"]), MAX_FRAME)
    )


def _parse_head(head: bytes) -> tuple[bytes, Mapping[bytes, bytes] | None]:
    first, *lines = head.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    return first, _parse_fields(lines)


def _parse_fields(lines: list[bytes]) -> Mapping[bytes, bytes] | None:
    """Read the lines of a header, names in lower case; None if one is not of it, or is once too often."""
    fields: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        name, value = field["name"].lower(), field["value"].strip(b" \t")
        if name in fields:
            if name in _ONCE:
                return None
            value = fields[name] + b"," + value
        fields[name] = value
    return fields


def _announces_body(fields: Mapping[bytes, bytes]) -> bool:
    """Return True if what follows the head could be taken for something else than frames."""
    return b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"


def _asks_upgrade(fields: Mapping[bytes, bytes]) -> bool:
    options = fields.get(b"connection", b"").lower().split(b",")
    return b"upgrade" in (option.strip(b" \t") for option in options)


def _find_fault(fields: Mapping[bytes, bytes]) -> Refused | None:
    """Return what an upgrade lacks."""
    connection, version = fields.get(b"connection", b""), fields.get(b"sec-websocket-version")
    if not connection.isascii() or not fields.get(b"host", b"").isascii():
        return Refused("a header is not ASCII")
    if not _asks_upgrade(fields):
        return Refused("Missing header, 'Connection: Upgrade'")
    if version != _VERSION:
        return Refused("Missing header, 'Sec-WebSocket-Version'", 426 if version else 400)
    if not fields.get(b"sec-websocket-key"):
        return Refused("Missing header, 'Sec-WebSocket-Key'")
    if fields.get(b"upgrade", b"").lower() != b"websocket":
        return Refused("Missing header, 'Upgrade: websocket'")
    if b"host" not in fields:
        return Refused("Missing header, 'Host'")
    return None


def _prove(key: bytes) -> bytes:
    """Show that the request was understood for what it is (RFC 6455 section 4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
