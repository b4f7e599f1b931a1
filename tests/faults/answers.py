"""Answers that go wrong on the wire: cut, reset, slow, endless, or no HTTP at all."""

from __future__ import annotations

import gzip
import socket
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from accountd.sandbox.message import ConnectionDropped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faults.network import Network

# Whoever sends such an answer hangs up after it. It says so, or the next request might be sent just then.
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
SLOWNESS = 5.0
"""Seconds between two bytes of a slow answer."""


async def _close(stream: FaultyStream, answer: bytes) -> None:
    """Hang up instead of answering."""


async def _stay_silent(stream: FaultyStream, answer: bytes) -> None:
    await trio.sleep_forever()


async def _close_half(stream: FaultyStream, answer: bytes) -> None:
    with suppress(OSError):
        stream.socket.shutdown(socket.SHUT_WR)
    await trio.sleep_forever()


async def _cut_head(stream: FaultyStream, answer: bytes) -> None:
    await stream.write(answer[:20])


async def _cut_body(stream: FaultyStream, answer: bytes) -> None:
    await stream.write(answer[:-2])


async def _reset_head(stream: FaultyStream, answer: bytes) -> None:
    await stream.write(answer[:20])
    stream.reset()


async def _reset_body(stream: FaultyStream, answer: bytes) -> None:
    await stream.write(answer[:-2])
    stream.reset()


async def _stall_in_body(stream: FaultyStream, answer: bytes) -> None:
    await stream.write(answer[:-2])
    await trio.sleep_forever()


async def _dribble(stream: FaultyStream, answer: bytes) -> None:
    for byte in answer:
        await stream.write(bytes((byte,)))
        await trio.sleep(SLOWNESS)


async def _leave_tls(stream: FaultyStream, answer: bytes) -> None:
    """Go on without encryption in the middle of the answer, as a proxy gone mad does."""
    await stream.write(answer[:-2])
    await stream.write_below_tls(answer)


async def _slip(stream: FaultyStream, answer: bytes) -> None:
    """Have the answer's own text where the length of a piece of it should be."""
    body = answer.partition(b"\r\n\r\n")[2].replace(b"\n", b"")
    await stream.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"\r\n")


def _send(data: bytes) -> Callable[[FaultyStream, bytes], Awaitable[None]]:
    async def send(stream: FaultyStream, answer: bytes) -> None:
        await stream.write(data)

    return send


def _repeat(start: bytes, piece: bytes) -> Callable[[FaultyStream, bytes], Awaitable[None]]:
    async def repeat(stream: FaultyStream, answer: bytes) -> None:
        await stream.write(start)
        while True:
            await stream.write(piece)

    return repeat


def _pack(mebibytes: int) -> bytes:
    """Give the gzip of so much of nothing, made of one block again and again, since packing it would take long."""
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = packing.compress(bytes(1 << 20)) + packing.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * mebibytes


async def _send_bomb(stream: FaultyStream, answer: bytes) -> None:
    """Send some kilobytes that would unfold to gigabytes, in two steps."""
    bomb = gzip.compress(_pack(4096))
    await stream.write(HEAD + b"Content-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)


async def _compress(stream: FaultyStream, answer: bytes) -> None:
    """Send two megabytes that would unfold to two gigabytes."""
    body = _pack(2048)
    await stream.write(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


BROKEN_ANSWERS: dict[str, Callable[[FaultyStream, bytes], Awaitable[None]]] = {
    "closed before the request": _close,  # see FaultyStream.receive_some
    "closed after the request": _close,
    "silence": _stay_silent,
    "half-closed": _close_half,
    "cut in the head": _cut_head,
    "cut in the body": _cut_body,
    "reset in the head": _reset_head,
    "reset in the body": _reset_body,
    "stalled in the body": _stall_in_body,
    "slow bytes": _dribble,
    "out of TLS": _leave_tls,
    "no HTTP": _send(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "NUL bytes": _send(bytes(4096)),
    "another HTTP": _send(b"HTTP/3.0 200 OK\r\n\r\n"),
    "endless head": _repeat(HEAD, b"X-Endless: yes\r\n" * 512),
    "endless line": _repeat(b"HTTP/1.1 200 ", b"O" * 8192),
    "endless body": _repeat(HEAD + b"\r\n", bytes(65536)),
    "endless chunks": _repeat(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"4000\r\n" + b" " * 16384 + b"\r\n"),
    "wrong chunks": _send(HEAD + b"Transfer-Encoding: chunked\r\n\r\nfour\r\n{}\r\n"),
    "body for a length": _slip,
    "length without body": _send(HEAD + b"Content-Length: 4096\r\n\r\n{}"),
    "length twice": _send(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "length below nought": _send(HEAD + b"Content-Length: -1\r\n\r\n{}"),
    "bomb in a bomb": _send_bomb,
    "bomb": _compress,
    "broken gzip": _send(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!"),
    "unknown encoding": _send(HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}"),
    "redirect": _send(
        b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    ),
    "redirect to nowhere": _send(
        b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: https://[\r\nContent-Length: 0\r\n\r\n"
    ),
    "server in trouble": _send(
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy"
    ),
    "portal": _send(HEAD.replace(b"application/json", b"text/html") + b"Content-Length: 14\r\n\r\n<html>Pay me.\n"),
    "empty answer": _send(HEAD + b"Content-Length: 0\r\n\r\n"),
    "not UTF-8": _send(HEAD + b"Content-Length: 4\r\n\r\n\xff\xfe\xfd\xfc"),
    "deep JSON": _send(HEAD + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000),
}


class FaultyStream(trio.abc.HalfCloseableStream):
    """A server's stream, below which an answer goes wrong. A server sends each answer in one piece."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], sock: trio.socket.SocketType, network: Network):
        self._stream = stream
        self.socket = sock
        self._network = network

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See trio.abc.ReceiveStream."""
        data = bytes(await self._stream.receive_some(max_bytes))
        return b"" if self._network.fault == "closed before the request" else data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See trio.abc.SendStream. Raises ConnectionDropped after a fault."""
        fault = self._network.fault
        if fault in BROKEN_ANSWERS:
            await BROKEN_ANSWERS[fault](self, bytes(data))
            raise ConnectionDropped
        last = self._network.note_answer()
        if last:
            data = bytes(data).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        await self._stream.send_all(data)
        if last:
            raise ConnectionDropped

    async def write(self, data: bytes) -> None:
        """Send as it is."""
        await self._stream.send_all(data)

    async def write_below_tls(self, data: bytes) -> None:
        """Send past the encryption."""
        await self._stream.transport_stream.send_all(data)

    def reset(self) -> None:
        """End the connection without a goodbye."""
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    async def wait_send_all_might_not_block(self) -> None:
        """See trio.abc.SendStream."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """See trio.abc.HalfCloseableStream. TLS has no such thing."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """See trio.abc.AsyncResource."""
        await self._stream.aclose()
