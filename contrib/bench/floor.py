"""The floor: the least that a server on trio and msgspec could do, so that one sees what the rest costs.

It reads messages, decodes their envelope, and answers what `account/read` is answered when nobody is logged in; a
login is told to all. It checks nothing, bounds nothing and knows nothing. Lines it splits itself; WebSockets it
reads with the daemon's own framing, of which wsproto does the upgrade.

    python floor.py ndjson|ws SOCKET
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec
import trio

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Request(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    id: int | str
    result: Any


_decoder = msgspec.json.Decoder(_Request)
_encoder = msgspec.json.Encoder()
_NOBODY = {"account": None, "requiresOpenaiAuth": True}
_UPDATED = b'{"method":"account/updated","params":{"authMode":null,"planType":null}}'


class _Lines:
    def __init__(self) -> None:
        self._partial = b""

    def receive(self, data: bytes) -> tuple[Iterable[bytes], bytes]:
        *lines, self._partial = (self._partial + data).split(b"\n")
        return lines, b""

    def send(self, payload: bytes) -> bytes:
        return payload + b"\n"


class _WebSocket:
    def __init__(self) -> None:
        from accountd.framing.websocket import WebSocketFraming

        self._framing = WebSocketFraming()
        self.send = self._framing.send

    def receive(self, data: bytes) -> tuple[Iterable[bytes], bytes]:
        from accountd.framing.base import Message, Reply

        events = self._framing.receive(data)
        replies = b"".join(event.data for event in events if isinstance(event, Reply))
        return [event.payload for event in events if isinstance(event, Message)], replies


async def _serve(kind: str, path: str) -> None:
    clients: dict[trio.SocketStream, _Lines | _WebSocket] = {}

    async def serve(stream: trio.SocketStream) -> None:
        framing = clients[stream] = _Lines() if kind == "ndjson" else _WebSocket()
        try:
            while data := await stream.receive_some(8192):
                messages, out = framing.receive(bytes(data))
                told = False
                for message in messages:
                    request = _decoder.decode(message)
                    if request.id is not None:
                        out += framing.send(_encoder.encode(_Answer(request.id, _NOBODY)))
                        told = told or request.method == "account/login/start"
                if out:
                    await stream.send_all(out)
                if told:
                    for other, its in tuple(clients.items()):
                        await other.send_all(its.send(_UPDATED))
        except trio.BrokenResourceError:
            pass  # the client has left
        finally:
            del clients[stream]

    with trio.socket.socket(trio.socket.AF_UNIX) as listening:
        await listening.bind(path)
        listening.listen(128)
        await trio.serve_listeners(serve, [trio.SocketListener(listening)])


if __name__ == "__main__":
    trio.run(_serve, sys.argv[1], sys.argv[2])
