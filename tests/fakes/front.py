"""A front's client between a daemon and an agent that a test plays itself, over streams in memory."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import trio
import trio.testing

from accountd.errors import RequestFailed
from accountd.framing.ndjson import NdjsonFraming
from accountd.framing.websocket import WebSocketFraming
from accountd.front.child import ANY_SIZE, Child
from accountd.front.router import Router
from accountd.front.serve import SHARED_UNREAD
from accountd.rpc.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from accountd.framing.base import Framing
    from accountd.front.remote_account import RemoteAccount
    from accountd.rpc.peek import Envelope

HELLO = {
    "id": 1,
    "method": "initialize",
    "params": {"clientInfo": {"name": "x", "version": "1"}, "capabilities": {"extensions": {"accountd": {}}}},
}
INTRODUCED = {"userAgent": "x/0.171.0 (Linux; x86_64) y", "codexHome": "/h"}


class Peer:
    """The far end of one connection: `heard` is what has come there, in its order."""

    def __init__(self, stream: trio.abc.Stream, framing: Framing) -> None:
        self.heard: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.endpoint = Endpoint(stream, framing, self._hear)

    def _hear(self, envelope: Envelope | None, payload: bytes) -> None:
        self.raw.append(payload)
        if envelope is not None:
            self.heard.append(json.loads(payload))

    async def say(self, *messages: dict[str, Any] | bytes) -> None:
        """Send messages, and let what they cause happen."""
        for message in messages:
            self.endpoint.send(message if isinstance(message, bytes) else json.dumps(message).encode())
        await trio.testing.wait_all_tasks_blocked()

    def take(self) -> list[dict[str, Any]]:
        """Give what has been heard since the last time."""
        taken, self.heard, self.raw = self.heard, [], []
        return taken


class FakeFeed:
    """`gate` holds whoever waits for the agent to have the login."""

    def __init__(self) -> None:
        self.refusal: str | None = None
        self.gate = trio.Event()
        self.gate.set()
        self.interrupted: list[tuple[str, str]] = []

    async def sync(self) -> None:
        """See Feed."""
        await self.gate.wait()

    wait_settled = sync

    @property
    def is_settling(self) -> bool:
        """See Feed."""
        return not self.gate.is_set()

    async def require_login(self, _child: Child) -> None:
        """See Feed."""
        if self.refusal is not None:
            raise RequestFailed(self.refusal)

    def interrupt(self, _child: Child, thread: str, turn: str) -> None:
        """See Feed."""
        self.interrupted.append((thread, turn))


class Scene:
    """One client of a front. `daemons` and `agents` are the connections to either side, the newest last."""

    router: Router
    codex_home = "/box"

    def __init__(self, nursery: trio.Nursery, remote: RemoteAccount | None = None) -> None:
        self.remote = remote
        self.feed = FakeFeed()
        self.agent = self
        self.child: Child | None = None
        self.daemons: list[Peer] = []
        self.agents: list[Peer] = []
        self.needs_login = True
        self._nursery = nursery

    @property
    def daemon(self) -> Peer:
        """Give the newest connection to the daemon."""
        return self.daemons[-1]

    @contextmanager
    def use(self) -> Iterator[None]:
        """See Agent."""
        yield

    async def agent_version(self) -> str | None:
        """See Sides."""
        return "0.169.0"

    async def requires_openai_auth(self) -> bool:
        """See Sides."""
        return self.needs_login

    async def open_daemon(self) -> trio.abc.Stream:
        """See Sides."""
        return self._open(self.daemons, NdjsonFraming(ANY_SIZE))

    async def open_agent(self) -> tuple[Child, trio.abc.Stream]:
        """See Sides."""
        stream = self._open(self.agents, WebSocketFraming(ANY_SIZE))
        endpoint = self.agents[-1].endpoint
        return Child("/s", 1, endpoint, trio.Event(), requires_openai_auth=self.needs_login), stream

    def _open(self, peers: list[Peer], framing: Framing) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        peers.append(Peer(theirs, framing))
        self._nursery.start_soon(peers[-1].endpoint.run)
        return ours

    async def introduce(self, client: Peer) -> None:
        """Have the client say who it is, and take what is said of that."""
        await client.say(HELLO)
        await self.daemon.say({"id": 1, "result": INTRODUCED})
        await client.say({"method": "initialized"})
        client.take(), self.daemon.take()

    async def open_agents(self, client: Peer) -> Peer:
        """Have the client use the agent; give its connection, on which it has been introduced."""
        await client.say({"id": "first", "method": "thread/list"})
        [agent] = self.agents
        [hello] = agent.take()
        await agent.say({"id": hello["id"], "result": INTRODUCED})
        agent.take()
        return agent


@asynccontextmanager
async def open_scene(remote: RemoteAccount | None = None) -> AsyncIterator[tuple[Scene, Peer]]:
    """Have a front's router run, and give its sides and its client."""
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery, remote)
        ours, theirs = trio.testing.lockstep_stream_pair()
        client = Peer(ours, NdjsonFraming(ANY_SIZE))
        scene.router = Router(theirs, NdjsonFraming(1 << 26), scene, SHARED_UNREAD)  # type: ignore[arg-type]  # it stands for Sides
        nursery.start_soon(scene.router.run)
        nursery.start_soon(client.endpoint.run)
        await trio.testing.wait_all_tasks_blocked()
        yield scene, client
        nursery.cancel_scope.cancel()
