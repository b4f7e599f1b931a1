"""One hostile client, a process of its own, which begins at the first line of its stdin and ends when it is killed.

It goes on with the standard library alone, is polite to the processor and to nobody else: at the lowest priority,
it has what the daemon and its other clients leave. So these wait for the daemon, which is measured, and not for a
processor, of which a machine may have few. The kind "burn" only counts, which shows what is left of that.

    python hostile.py KIND main|token SOCKET SECONDS
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

DoorName = Literal["main", "token"]
Attack = Callable[[DoorName, str], None]

_CALLBACK: Final = ("127.0.0.1", 1455)
_READ: Final = b'{"id":1,"method":"account/read","params":{}}\n'
_UPGRADE: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_LARGE: Final = {"main": 1_000_000, "token": 60_000}
"""Bytes of a message that is taken at a door whole, or nearly so."""


class Kind(NamedTuple):
    """A kind of flood. `says` is what its clients do; `attack` does it until the daemon hangs up."""

    says: str
    attack: Attack
    doors: tuple[DoorName, ...] = ("main", "token")


def _hello(name: str = "hostile", *unwanted: str) -> bytes:
    capabilities = {"optOutNotificationMethods": unwanted}
    params = {"clientInfo": {"name": name, "version": "1"}, "capabilities": capabilities}
    return json.dumps({"id": 0, "method": "initialize", "params": params}).encode() + b"\n"


def _frame(first: int, payload: bytes) -> bytes:
    """Make a frame of a WebSocket of less than 64 KiB, whose mask is zero."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes((first,)) + length + bytes(4) + payload


def _connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    try:
        sock.connect(path)
    except BaseException:  # whatever it was, the socket does not stay; and it goes on
        sock.close()
        raise
    return sock


def _pour(make: Callable[[DoorName], bytes], first: bytes, *, reads: bool = True) -> Attack:
    """Say something first, and then the same again and again, as fast as it is taken."""

    def attack(door: DoorName, path: str) -> None:
        data = memoryview(make(door))
        with _connect(path) as sock:
            sock.sendall(first)
            sock.setblocking(False)
            sent = 0
            while True:
                readable, writable, _ = select.select([sock] if reads else [], [sock], [])
                if readable and not sock.recv(1 << 18):
                    return
                if writable:
                    sent = (sent + sock.send(data[sent : sent + (1 << 18)])) % len(data)

    return attack


def _lines(line: bytes, first: bytes | None = None, *, reads: bool = True) -> Attack:
    """Pour lines that are small."""
    return _pour(lambda _: line * (1 + (1 << 17) // len(line)), _hello() if first is None else first, reads=reads)


def _large(begin: bytes, filling: bytes, end: bytes) -> Attack:
    """Pour lines that are as large as they may be."""
    return _pour(lambda door: begin + filling * (_LARGE[door] // len(filling)) + end + b"\n", _hello())


def _anew(first: bytes, *, waits: bool = True) -> Attack:
    """Connect, say something, and leave when there is an answer, or at once."""

    def attack(_: DoorName, path: str) -> None:
        while True:
            with _connect(path) as sock:
                sock.sendall(first)
                if waits:
                    sock.recv(1 << 16)

    return attack


def _log_in(_: DoorName, path: str) -> None:
    """Start a login with a device code, cancel it, and start the next."""
    with _connect(path) as sock:
        answers = sock.makefile("rb")
        sock.sendall(_hello())
        answers.readline()
        while True:
            sock.sendall(b'{"id":1,"method":"account/login/start","params":{"type":"chatgptDeviceCode"}}\n')
            while (line := answers.readline()) and b'"id":1' not in line:
                pass
            found = re.search(rb'"loginId":"([^"]+)"', line)
            cancel = b'{"id":2,"method":"account/login/cancel","params":{"loginId":"%b"}}\n'
            sock.sendall(cancel % (found[1] if found else b""))
            if not line:
                return


def _call_back(_: DoorName, __: str) -> None:
    """Come to the port of a browser login, with an answer that is not its issuer's."""
    while True:
        with socket.create_connection(_CALLBACK, 5) as sock:
            sock.sendall(b"GET /auth/callback?code=x&state=y HTTP/1.1\r\nHost: localhost:1455\r\n\r\n")
            sock.recv(1 << 16)


def _burn(_: DoorName, __: str) -> None:
    while True:
        pass


_TOKEN_REFRESH: Final = b'{"id":1,"method":"getAuthStatus","params":{"includeToken":true,"refreshToken":true}}\n'
_PINGS: Final = _frame(0x89, b"")
_FRAGMENTS: Final = _frame(0x00, b" ")
_WS_FIRST: Final = _UPGRADE + _frame(0x81, _hello())

FLOOR: Final = "burn"
BROWSER: Final = "browser"

KINDS: Final = {
    FLOOR: Kind("nothing but counting, without the daemon: the floor", _burn, ("main",)),
    "optouts": Kind("1 MiB of `optOutNotificationMethods`", _anew(_hello("x", *map(str, range(104_000))))),
    "names": Kind("a name of 500 KB", _anew(_hello("x" * 500_000))),
    "endless": Kind("a line without an end", _pour(lambda _: b"x" * (1 << 17), _hello())),
    "silent": Kind("the same before `initialize`", _pour(lambda _: b"x" * (1 << 17), b"")),
    "numbers": Kind("params of `1e308,`", _large(b'{"id":1,"method":"account/read","params":[', b"1e308,", b"1]}")),
    "unread": Kind("requests, whose answers are not read", _lines(_READ, reads=False)),
    "requests": Kind("requests", _lines(_READ)),
    "unknown": Kind("requests for what there is not", _lines(b'{"id":1,"method":"x"}\n')),
    "short": Kind("lines of one letter", _lines(b"x\n")),
    "surrogates": Kind("lone surrogates", _lines(b'{"id":1,"method":"account/read","params":{"a":"\\ud800"}}\n')),
    "large": Kind("as large as they may be", _large(b'{"id":1,"method":"account/read","a":"', b"\\ud800", b'"}')),
    "bytes": Kind("bytes that are no text", _lines(b'\xff\xfe{"id":1}\n')),
    "ids": Kind("ids as large as they may be", _large(b'{"method":"account/read","params":{},"id":"', b"x", b'"}')),
    "notifications": Kind("notifications", _lines(b'{"method":"x"}\n')),
    "batches": Kind("batches", _lines(b"[" + b'{"id":1,"method":"account/read"},' * 200 + b"1]\n")),
    "leaving": Kind("connecting, and leaving", _anew(b"", waits=False)),
    "coming": Kind("connecting, `initialize`, and leaving", _anew(_hello())),
    "pings": Kind("a WebSocket's pings", _lines(_PINGS, _WS_FIRST)),
    "fragments": Kind(
        "a WebSocket's fragments of a byte",
        _pour(lambda _: _frame(0x01, b" ") + _FRAGMENTS * (1 << 15), _WS_FIRST),
    ),
    "upgrades": Kind("upgrades to a WebSocket, and leaving", _anew(_UPGRADE)),
    "refreshes": Kind(
        "forced refreshes", _lines(b'{"id":1,"method":"account/read","params":{"refreshToken":true}}\n')
    ),
    "tokens": Kind("the token, and a forced refresh", _lines(_TOKEN_REFRESH)),
    "logins": Kind("logins, started and cancelled", _log_in, ("main",)),
    BROWSER: Kind("wrong answers at the port of a browser login", _call_back, ("main",)),
}


def main() -> None:
    """Flood one kind, for so many seconds at most."""
    word, door, path, seconds = sys.argv[1:]
    os.nice(19)
    signal.setitimer(signal.ITIMER_REAL, float(seconds))  # whose signal ends the process
    sys.stdin.readline()
    while True:
        try:
            KINDS[word].attack("token" if door == "token" else "main", path)
        except OSError:  # it has been hung up on, or turned away: it comes again
            time.sleep(0.001)


if __name__ == "__main__":
    main()
