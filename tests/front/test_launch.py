"""Which agent that another front has started is used again, and which is not."""

from __future__ import annotations

import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from accountd import paths
from accountd.errors import AgentUnavailable
from accountd.framing.websocket import WebSocketFraming
from accountd.front import child as children
from accountd.front.child import ANY_SIZE, Child
from accountd.front.launch import Launch, open_shared_child
from accountd.rpc.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from accountd.front.asked import Asked
    from accountd.rpc.peek import Envelope


class Place:
    """A CODEX_HOME, and the folder of an agent that another front has started for it."""

    def __init__(self, folder: Path) -> None:
        self.environ = {"CODEX_HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PATH": "/nowhere"}
        self.socket = trio.Path(paths.agents_folder(self.environ)) / "x" / "s"

    @asynccontextmanager
    async def serve(self, **said: Any) -> AsyncIterator[None]:
        """Be an agent of ours for the block, but for what is `said` otherwise."""
        answers = {
            "initialize": {"userAgent": f"x/{said.get('version', '0.171.0')} (y)", "codexHome": said["home"]},
            "config/read": {"config": {"cli_auth_credentials_store": said.get("store", "ephemeral")}},
            "getAuthStatus": {"requiresOpenaiAuth": True},
            "turn/start": {"code": -32600, "message": "no", "data": {"reason": said.get("reason")}},
        }

        async def serve(stream: trio.SocketStream) -> None:
            def hear(envelope: Envelope | None, _payload: bytes) -> None:
                if envelope is not None and envelope.kind == "request":
                    member = "error" if envelope.method == "turn/start" else "result"
                    answer = {"id": envelope.id, member: answers[str(envelope.method)]}
                    endpoint.send(json.dumps(answer).encode())

            endpoint = Endpoint(stream, WebSocketFraming(ANY_SIZE), hear)
            await endpoint.run()

        with self.listen() as listening:
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening.dup()))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, serve, [listener])
                yield
                nursery.cancel_scope.cancel()

    def listen(self) -> socket.socket:
        """Listen where such an agent does."""
        listening = socket.socket(socket.AF_UNIX)
        listening.setblocking(False)
        listening.bind(str(self.socket))
        listening.listen()
        return listening

    async def find(self) -> Child | None:
        """Find an agent as the next front does; None where one would have been started, since there is no codex."""
        async with trio.open_nursery() as nursery:
            try:
                async with open_shared_child(Launch(self.environ), _hear, nursery) as child:
                    return child
            except AgentUnavailable as error:
                if "no `codex` on PATH" not in str(error):
                    raise
            finally:
                nursery.cancel_scope.cancel()
        return None


async def _hear(_child: Child, _request: Asked) -> None:
    """Hear nothing."""


@pytest.fixture
async def place(path: Path) -> Place:
    """Give a place with a path that is short enough for sockets."""
    place = Place(path.parent)
    await place.socket.parent.mkdir(parents=True)
    return place


@pytest.mark.parametrize(
    ("said", "is_used"),
    [
        ({}, True),
        ({"home": "/another"}, False),
        ({"version": "0.156.9"}, False),
        ({"store": "file"}, False),
        ({"reason": "serverShuttingDown"}, False),
    ],
    ids=["ours", "of another home", "too old", "with a store", "ending"],
)
async def test_an_agent_that_could_have_been_started_now_is_used(
    place: Place, said: dict[str, str], is_used: bool
) -> None:
    """Of this CODEX_HOME, new enough, with its login in memory alone; any other is left as it is."""
    async with place.serve(**{"home": place.environ["CODEX_HOME"], **said}):
        found = await place.find()
        assert (found is not None) is is_used
    assert await place.socket.exists()


async def test_what_an_agent_has_left_is_removed(place: Place) -> None:
    """Its socket refuses connections for ever."""
    place.listen().close()
    assert await place.find() is None
    assert not await place.socket.parent.exists()


async def test_an_agent_that_is_stopped_is_ended(
    place: Place, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """The system takes connections for it, and its threads are nobody else's as long as it is there."""
    ended: list[object] = []
    monkeypatch.setattr(children, "signal_session", lambda *of: ended.append(of[1]))
    with place.listen():
        assert await place.find() is None
    assert ended == [9]
