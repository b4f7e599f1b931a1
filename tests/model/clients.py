"""A client on a real connection, in either framing: it asks, keeps what it hears, and may leave at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import trio
import wsproto
from wsproto import events

from accountd.hub import Audience

if TYPE_CHECKING:
    from fakes.client import MemoryStream
    from model.witnesses import History


class Left(Exception):
    """The connection has ended, and the answer will not come."""


class Lines:
    """Messages as lines."""

    def __init__(self) -> None:
        self._partial = b""

    def hello(self) -> bytes:
        """Give what is sent first."""
        return b""

    def wrap(self, message: bytes) -> bytes:
        """Give what is sent of a message."""
        return message + b"\n"

    def take(self, data: bytes) -> list[bytes]:
        """Give the messages that are whole by now."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        return lines


class WebSocket:
    """Messages in a WebSocket."""

    def __init__(self) -> None:
        self._wire = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)

    def hello(self) -> bytes:
        """See Lines."""
        return self._wire.send(events.Request(host="localhost", target="/"))

    def wrap(self, message: bytes) -> bytes:
        """See Lines. Before the handshake is answered nothing may be sent, so `Client` waits for it."""
        return self._wire.send(events.TextMessage(data=message.decode()))

    def take(self, data: bytes) -> list[bytes]:
        """See Lines."""
        self._wire.receive_data(data)
        return [
            event.data.encode() if isinstance(event, events.TextMessage) else b""
            for event in self._wire.events()
            if isinstance(event, (events.TextMessage, events.AcceptConnection))
        ]


class Client:
    """Listens from `listen` on. `heard` has the notifications, as they came."""

    def __init__(self, stream: MemoryStream, *, websocket: bool = False, extension: bool = False) -> None:
        self.extension = extension
        self.heard: list[bytes] = []
        self.is_gone = False
        self._stream = stream
        self._framing = WebSocket() if websocket else Lines()
        self._sending = trio.Lock()
        self._open = trio.Event()
        self._answers: dict[int, dict[str, Any]] = {}
        self._news = trio.Event()
        self._numbers = 0
        self._is_told_all = True
        if not websocket:
            self._open.set()

    async def listen(self) -> None:
        """Keep what comes, to the end of the connection."""
        try:
            async with self._sending:
                await self._stream.send_all(self._framing.hello())
            while data := bytes(await self._stream.receive_some()):
                for message in self._framing.take(data):
                    self._keep(message)
                self._tell()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # either side may leave in the middle of anything
        finally:
            self.is_gone = True
            self._tell()

    def _keep(self, payload: bytes) -> None:
        if not payload:
            self._open.set()
            return
        message = msgspec.json.decode(payload)
        if "method" not in message:
            self._answers[message["id"]] = message
        elif "id" not in message:
            self.heard.append(payload)

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()
        if self.is_gone:
            self._open.set()

    async def initialize(self) -> None:
        """Say hello. Raises Left."""
        capabilities = {"experimentalApi": True, "extensions": {"accountd": {}} if self.extension else {}}
        await self.ask(
            "initialize", {"clientInfo": {"name": "a model", "version": "1"}, "capabilities": capabilities}
        )

    async def send(self, method: str, params: object = None) -> int:
        """Ask, and do not wait. Raises Left."""
        await self._open.wait()
        if self.is_gone:
            raise Left
        self._numbers += 1
        number = self._numbers
        message = msgspec.json.encode({"id": number, "method": method, "params": params})
        try:
            async with self._sending:
                await self._stream.send_all(self._framing.wrap(message))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Left from None
        return number

    async def ask(self, method: str, params: object = None) -> dict[str, Any]:
        """Ask, and give the answer, which may be an error. Raises Left."""
        number = await self.send(method, params)
        while number not in self._answers:
            if self.is_gone:
                raise Left
            await self._news.wait()
        return self._answers[number]

    async def hear(self, method: str) -> None:
        """Wait for a notification that has not come when this is called. Raises Left."""
        seen = len(self.heard)
        while all(msgspec.json.decode(payload)["method"] != method for payload in self.heard[seen:]):
            if self.is_gone:
                raise Left
            await self._news.wait()

    def leave(self, *, half: bool = False) -> None:
        """Close the connection, whatever is under way; with `half`, only send no more.

        A WebSocket that is not closed by a frame has broken off, so nothing more is said to it either.
        """
        self._is_told_all = half and isinstance(self._framing, Lines)
        self._stream.send_stream.close()
        if not half:
            self._stream.receive_stream.close()

    def check(self, history: History) -> None:
        """Hold that what was heard is what was published, without a gap; and to its end, by one that is here."""
        told = [each for each in history.told if self.extension or not each.extension]
        told = [each for each in told if not isinstance(each.to, Audience) or each.to.followers]
        wanted = [(self.extension and each.extended) or each.payload for each in told]
        count = len(self.heard)
        ends = [len(wanted)] if self._is_told_all and not self.is_gone else range(count, len(wanted) + 1)
        assert any(self.heard == wanted[end - count : end] for end in ends)
