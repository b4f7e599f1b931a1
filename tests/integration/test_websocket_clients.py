"""WebSocket clients of two other makers, on the real socket of a real daemon."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import websocket
import websockets.exceptions
import websockets.sync.client

from fakes.processes import PATIENCE, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMIT = 1 << 20
INITIALIZE = {"clientInfo": {"name": "peer", "version": "1"}}


class Speaker(Protocol):
    """What both can do, under one name for each."""

    def say(self, *fragments: str) -> None:
        """Send one message, in so many frames."""

    def hear(self) -> Any:
        """Wait for one message, and read its JSON."""

    def say_bytes(self, data: bytes) -> None:
        """Send a binary message."""

    def ping(self) -> bytes:
        """Send a ping, and give what came back with the pong."""

    def hear_close(self) -> tuple[int | None, str]:
        """Wait for the daemon's close, over all that comes before it; give its code and its reason."""

    def close(self, code: int = 1000) -> int | None:
        """Close, and give the code with which the daemon answered."""

    def end(self) -> None:
        """Let go of the connection, whatever its state."""

    def extensions(self) -> str | None:
        """Give the extensions that the daemon has agreed to; compression was offered."""


class Websockets:
    """The package `websockets`."""

    def __init__(self, path: Path) -> None:
        self._opened = ExitStack()
        connecting = websockets.sync.client.unix_connect(str(path), "ws://localhost/", open_timeout=PATIENCE)
        self._peer = self._opened.enter_context(connecting)

    def end(self) -> None:
        """See Speaker.end."""
        self._opened.close()

    def say(self, *fragments: str) -> None:
        """See Speaker.say."""
        self._peer.send(fragments if len(fragments) > 1 else fragments[0])

    def hear(self) -> Any:
        """See Speaker.hear."""
        return json.loads(self._peer.recv(PATIENCE))

    def say_bytes(self, data: bytes) -> None:
        """See Speaker.say_bytes."""
        self._peer.send(data)

    def ping(self) -> bytes:
        """See Speaker.ping."""
        assert self._peer.ping(b"are you there?").wait(PATIENCE)
        return b"are you there?"  # a pong with other bytes is none to it

    def hear_close(self) -> tuple[int | None, str]:
        """See Speaker.hear_close. Messages that come with the close may be lost on this client."""
        with suppress(websockets.exceptions.ConnectionClosed):
            while self._peer.recv(PATIENCE):
                pass
        return self._peer.close_code, self._peer.close_reason or ""

    def close(self, code: int = 1000) -> int | None:
        """See Speaker.close."""
        self._peer.close(code)
        return self._peer.close_code

    def extensions(self) -> str | None:
        """See Speaker.extensions."""
        assert self._peer.request is not None
        assert self._peer.response is not None
        assert "permessage-deflate" in self._peer.request.headers["Sec-WebSocket-Extensions"]
        return self._peer.response.headers.get("Sec-WebSocket-Extensions")


class WebsocketClient:
    """The package `websocket-client`."""

    def __init__(self, path: Path) -> None:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        self._peer: Any = websocket.create_connection(
            "ws://localhost/",
            socket=sock,
            timeout=PATIENCE,
            header=["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"],
        )

    def end(self) -> None:
        """See Speaker.end."""
        self._peer.shutdown()

    def say(self, *fragments: str) -> None:
        """See Speaker.say."""
        for index, fragment in enumerate(fragments):
            opcode = websocket.ABNF.OPCODE_CONT if index else websocket.ABNF.OPCODE_TEXT
            fin = int(index == len(fragments) - 1)
            self._peer.send_frame(websocket.ABNF.create_frame(fragment.encode(), opcode, fin))

    def hear(self) -> Any:
        """See Speaker.hear."""
        return json.loads(self._peer.recv())

    def say_bytes(self, data: bytes) -> None:
        """See Speaker.say_bytes."""
        self._peer.send_binary(data)

    def ping(self) -> bytes:
        """See Speaker.ping."""
        self._peer.ping("are you there?")
        return self._frame(websocket.ABNF.OPCODE_PONG)

    def hear_close(self) -> tuple[int | None, str]:
        """See Speaker.hear_close."""
        while (frame := self._peer.recv_frame()).opcode == websocket.ABNF.OPCODE_TEXT:
            pass
        assert frame.opcode == websocket.ABNF.OPCODE_CLOSE
        return int.from_bytes(frame.data[:2]) if frame.data else None, frame.data[2:].decode()

    def close(self, code: int = 1000) -> int | None:
        """See Speaker.close."""
        self._peer.send_close(code)
        return self.hear_close()[0]

    def _frame(self, opcode: int) -> bytes:
        frame = self._peer.recv_frame()
        assert frame.opcode == opcode
        return bytes(frame.data)

    def extensions(self) -> str | None:
        """See Speaker.extensions."""
        headers: dict[str, str] = self._peer.getheaders()
        return headers.get("sec-websocket-extensions")


@pytest.fixture(params=[Websockets, WebsocketClient], ids=["websockets", "websocket-client"])
def connect(request: pytest.FixtureRequest, home: Path) -> Iterator[Callable[[], Speaker]]:
    """Run a daemon, and give what connects a client of one maker to it."""
    with running(home) as daemon, ExitStack() as speakers:

        def connect() -> Speaker:
            speaker: Speaker = request.param(daemon.path)
            speakers.callback(speaker.end)
            return speaker

        yield connect
        speakers.close()
        assert "Traceback" not in daemon.stop()


def ask(speaker: Speaker, request_id: int, method: str, params: object) -> Any:
    """Ask in one frame, and give the answer's result."""
    speaker.say(json.dumps({"id": request_id, "method": method, "params": params}))
    answer = speaker.hear()
    assert answer["id"] == request_id
    return answer["result"]


def test_a_client_of_another_maker_has_its_conversation(connect: Callable[[], Speaker]) -> None:
    """Handshake, requests, fragments, pings and a close: each is answered as that client understands it."""
    speaker = connect()
    assert speaker.extensions() is None
    assert ask(speaker, 1, "initialize", INITIALIZE)["userAgent"].startswith("peer/")
    assert ask(speaker, 2, "account/read", {})["account"] is None
    speaker.say('{"id":3,"meth', "", 'od":"account/re', 'ad","params":{"é":"', 'ü"}}')
    assert speaker.hear()["id"] == 3
    assert speaker.ping() == b"are you there?"
    speaker.say_bytes(b'{"id":4}')
    assert speaker.hear() == {
        "id": None,
        "error": {"code": -32600, "message": "binary messages are not supported; send text"},
    }
    speaker.say("{")
    assert speaker.hear()["error"]["code"] == -32700
    assert ask(speaker, 5, "account/read", {})["account"] is None
    assert speaker.close(1001) == 1001


def test_a_message_may_be_as_large_as_the_limit(connect: Callable[[], Speaker]) -> None:
    """A message of a mebibyte is answered; one byte more is too much, and the close says so."""
    speaker = connect()
    ask(speaker, 1, "initialize", INITIALIZE)
    speaker.say(fill(2, LIMIT))
    assert speaker.hear()["id"] == 2
    whole = fill(3, LIMIT)
    speaker.say(whole[:1000], whole[1000:-5], whole[-5:])
    assert speaker.hear()["id"] == 3
    speaker.say(fill(4, LIMIT + 1))
    assert speaker.hear_close() == (1009, f"message is larger than {LIMIT} bytes")


def fill(request_id: int, size: int) -> str:
    """Write a request of so many bytes."""
    start, end = f'{{"id":{request_id},"method":"account/read","params":{{"filling":"', '"}}'
    return start + "x" * (size - len(start) - len(end)) + end
