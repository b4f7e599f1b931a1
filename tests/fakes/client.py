"""A client of one connection, over streams in memory: newline JSON, on the clock of the test.

Whatever it hears is held to the table of methods, whichever test it is in.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import trio
import trio.testing

from accountd.config.limits import Limits
from accountd.config.settings import Config
from accountd.framing.detect import DetectedFraming
from accountd.server.connection import Connection
from fakes import canaries
from fakes.table import check_message, check_reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.server.call import Services
    from accountd.server.door import Door

    MemoryStream = trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]

CONFIG = Config(codex_home=Path("/home/ada/.codex"))
NOBODY = {"account": None, "userId": None, "requiresOpenaiAuth": True, "workspaceRouting": None}
READ = {"id": 7, "method": "account/read", "params": {}}
OVERLOADED = {"code": -32001, "message": "Server overloaded; retry later."}
HELLO = b'{"id":0,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}'
DEVICE = {"id": 8, "method": "account/login/start", "params": {"type": "chatgptDeviceCode"}}


def error(code: int, message: str, request_id: object = 1) -> dict[str, Any]:
    """Write an error as a client sees it."""
    return {"id": request_id, "error": {"code": code, "message": message}}


class Client:
    """The client's end. `connection` is the server's; `greetings` has what it is told because it has come."""

    def __init__(self, stream: MemoryStream, connection: Connection) -> None:
        self.stream = stream
        self.connection = connection
        self.messages: list[dict[str, Any]] = []
        self.greetings: list[dict[str, Any]] = []
        self._asked: dict[int | str, str] = {}
        self._partial = b""

    async def send(self, *messages: dict[str, Any] | bytes) -> None:
        """Send messages, all in one piece."""
        lines = [m if isinstance(m, bytes) else json.dumps(m).encode() for m in messages]
        self._asked |= {
            m["id"]: m["method"] for m in messages if isinstance(m, dict) and {"id", "method"} <= m.keys()
        }
        await self.stream.send_all(b"".join(line + b"\n" for line in lines))

    async def receive(self) -> dict[str, Any]:
        """Give the next message, of any kind but a greeting. Raises EOFError at the end."""
        while True:
            while not self.messages:
                data = await self.stream.receive_some()
                if not data:
                    raise EOFError
                *lines, self._partial = (self._partial + bytes(data)).split(b"\n")
                self.messages += map(json.loads, lines)
            message = self._check(self.messages.pop(0))
            if message.get("params", {}).get("reason") != "workspaceRoutingReady":
                return message
            self.greetings.append(message["params"])

    def _check(self, message: dict[str, Any]) -> dict[str, Any]:
        if "error" in message:
            canaries.current.see("an error answer", json.dumps(message))
        if "method" in message:
            check_message(message)
        elif "result" in message and message["id"] in self._asked:
            check_reply(self._asked[message["id"]], message["result"])
        return message

    async def call(self, method: str, params: object = None, request_id: int | str = 1) -> dict[str, Any]:
        """Send a request and give the next message, which is its answer where nothing else is going on."""
        await self.send({"id": request_id, "method": method, "params": params})
        return await self.receive()

    async def initialize(self, **capabilities: object) -> dict[str, Any]:
        """Send `initialize`, and give its answer."""
        info = {"name": "a test", "version": "1.0"}
        return await self.call("initialize", {"clientInfo": info, "capabilities": capabilities})


@asynccontextmanager
async def connected(
    services: Services, door: Door | None = None, **limits: int
) -> AsyncIterator[tuple[MemoryStream, Connection]]:
    """Give the client's end of a connection, by the main door unless told; it must end by itself."""
    ours, theirs = trio.testing.memory_stream_pair()
    config = msgspec.structs.replace(CONFIG, limits=Limits(**limits))
    framing = DetectedFraming(config.limits.message_bytes)
    connection = Connection(theirs, framing, services, config, door=door)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run)
        yield ours, connection
        await ours.aclose()


@asynccontextmanager
async def open_client(
    services: Services, *, initialize: bool = True, door: Door | None = None, **capabilities: object
) -> AsyncIterator[Client]:
    """Connect a client for the block, by the main door unless told."""
    async with connected(services, door) as (stream, connection):
        client = Client(stream, connection)
        if initialize:
            await client.initialize(**capabilities)
        yield client


async def rest_of(stream: MemoryStream) -> bytes:
    """Give all that comes until the end."""
    return b"".join([bytes(data) async for data in stream])
