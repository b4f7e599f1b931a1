"""One client's connection to the agent, opened when it first asks for something that is not about accounts.

What waits for that, for the agent to come up, or for it to be given another login, waits here, in order.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec
import trio

from accountd.errors import AgentSilent, AgentUnavailable, RequestFailed
from accountd.foreign_json import UNDECODABLE
from accountd.framing.websocket import WebSocketClientFraming
from accountd.front.child import ANY_SIZE, introduce, start_connection
from accountd.front.dead_login import DeadLogin
from accountd.front.route import NEEDS_LOGIN, OURS, is_for_nobody
from accountd.protocol.jsonrpc import render_error
from accountd.rpc.endpoint import Endpoint
from accountd.rpc.pending import ConnectionEnded

if TYPE_CHECKING:
    from accountd.front.asked import Asked
    from accountd.front.child import Child
    from accountd.front.sides import Sides
    from accountd.protocol.jsonrpc import RequestId
    from accountd.rpc.peek import Envelope

ROOM: Final = 64 << 20
"""Bytes that may wait for the agent before the client is not read any more: the largest message."""


class AgentSide:
    """The connection. `serve` is to run in a task of its own."""

    def __init__(self, client: Endpoint, sides: Sides) -> None:
        self._client = client
        self._sides = sides
        self._introduction: dict[str, Any] | None = None
        self._is_answered = trio.Event()
        self._endpoint: Endpoint | None = None
        self._dead_login = DeadLogin(sides.feed)
        self._asked: dict[RequestId, None] = {}  # in the order in which they were asked
        self._child: Child | None = None
        self._waiting_bytes = 0
        self._has_left = trio.Event()
        self._put, self._waiting = trio.open_memory_channel[tuple[bytes, "Asked | None"]](math.inf)

    @property
    def is_introduced(self) -> bool:
        """Return True once the client has said who it is; before that, the daemon tells it to."""
        return self._introduction is not None

    def begin(self) -> None:
        """Let what waits be passed on: the client has been told that it is initialized."""
        self._is_answered.set()

    def introduce(self, request: Asked) -> None:
        """Note the client's `initialize`, which the agent is sent too, without our extension in it."""
        with suppress(TypeError, AttributeError, *UNDECODABLE):  # the daemon says what is wrong with it
            params = msgspec.json.decode(request.params, type=dict[str, Any])
            extensions = (params.get("capabilities") or {}).get("extensions") or {}
            extensions.pop("accountd", None)
            self._introduction = self._introduction or params

    async def pass_on(self, payload: bytes, request: Asked | None = None) -> None:
        """Pass on what the client says, after what it has said before. Waits while too much of that waits."""
        if not self._waiting_bytes and self._pass_at_once(payload, request):
            return
        while self._waiting_bytes > ROOM:
            self._has_left = trio.Event()
            await self._has_left.wait()
        self._waiting_bytes += len(payload)
        self._put.send_nowait((payload, request))

    def _pass_at_once(self, payload: bytes, request: Asked | None) -> bool:
        """Pass on what has nothing to wait for, which saves a switch of tasks; False, and it is not, if it has."""
        if self._endpoint is None or not self._endpoint.has_room:
            return False
        if request is not None:
            if request.method in NEEDS_LOGIN or self._sides.feed.is_settling:
                return False
            self._asked[request.id] = None
        with suppress(ConnectionEnded):  # which all who wait are told
            self._endpoint.send(payload)
        return True

    async def wait_answered(self) -> None:
        """Wait until nothing waits, to be passed on or for its answer."""
        while self._waiting_bytes or self._asked:
            self._has_left = trio.Event()
            await self._has_left.wait()

    async def serve(self) -> NoReturn:
        """Pass on what waits, until cancelled."""
        await self._is_answered.wait()
        async with trio.open_nursery() as nursery:
            async for payload, request in self._waiting:
                if request is not None:
                    await self._ask(request, nursery)
                else:
                    await self._send(payload)
                self._waiting_bytes -= len(payload)
                self._has_left.set()
        raise AssertionError("what a client says does not end")

    async def _ask(self, request: Asked, nursery: trio.Nursery) -> None:
        try:
            if self._endpoint is None:
                await self._open(nursery)
            await self._sides.feed.wait_settled()
            if self._child is not None and self._child.requires_openai_auth and request.method in NEEDS_LOGIN:
                await self._sides.feed.require_login(self._child)
        except (AgentUnavailable, RequestFailed) as error:
            self._tell(render_error(request.id, RequestFailed(str(error))))
        else:
            self._asked[request.id] = None
            await self._send(request.payload)

    async def _open(self, nursery: trio.Nursery) -> None:
        """Open the connection: once more, if the agent had just ended, and nobody knew. Raises AgentUnavailable."""
        known = self._sides.agent.child
        try:
            await self._connect(nursery)
        except AgentUnavailable:
            if known is None or not await self._sides.agent.wait_gone(known):
                raise
            await self._connect(nursery)

    async def _connect(self, nursery: trio.Nursery) -> None:
        """Connect to the agent, and introduce the client there. Raises AgentUnavailable."""
        child, stream = await self._sides.open_agent()
        endpoint = Endpoint(
            stream,
            WebSocketClientFraming(ANY_SIZE),
            partial(self._hear, child),
            prefix=OURS,
            before_reading=self._client.wait_room,
        )
        try:
            await start_connection(nursery, self._live, endpoint)
            await introduce(endpoint, self._introduction or {})
        except AgentSilent:
            self._sides.agent.distrust(child)
            raise
        self._endpoint, self._child = endpoint, child

    async def _live(self, endpoint: Endpoint, task_status: trio.TaskStatus[None]) -> None:
        """Live the connection to its end, which is the client's too: what it has there is gone."""
        with self._sides.agent.use():
            await endpoint.run(task_status)
        if self._endpoint is not endpoint:
            return  # the client has nothing there
        failure = RequestFailed("the Codex agent has ended before it answered")
        for request_id in self._asked:
            self._tell(render_error(request_id, failure))
        self._client.end("has lost its agent")

    async def _send(self, payload: bytes) -> None:
        if self._endpoint is not None:
            await self._endpoint.wait_room()
            with suppress(ConnectionEnded):  # which all who wait are told
                self._endpoint.send(payload)

    def _hear(self, child: Child, envelope: Envelope | None, payload: bytes) -> None:
        if envelope is None:
            return
        if envelope.kind == "response":
            if isinstance(envelope.id, int | str):
                self._asked.pop(envelope.id, None)
                self._has_left.set()
        elif is_for_nobody(str(envelope.method)):
            return
        else:
            payload = self._dead_login.retell(child, envelope, payload)
        self._tell(payload)

    def _tell(self, payload: bytes) -> None:
        with suppress(ConnectionEnded):
            self._client.send(payload)
