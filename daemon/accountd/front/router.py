"""One client of the front: what it says goes to the daemon or to the agent, and what they say comes back to it.

    client ◀──▶ router ◀──▶ daemon      accounts; the connection is the client's own, and begins with it
                       ◀──▶ agent       everything else; likewise, from the first request on that is for it

Each of the three is an endpoint. Messages are passed on as the bytes that they came in; only their method and id
are looked at. Ids need no change: either side answers what it was asked, and of what the sides ask of the
client, the daemon's gets a prefix.

**Order.** What a client asks of one side reaches that side in its order. What waits, for the agent to come up or to
be given a login, waits in a task of the agent's own, so requests about accounts go past it. What the daemon says
goes through one task, in its order, and that task waits for the feed where a change of the account is told.

**Room.** A side is read only while the client takes what it is sent; and the client only while the sides do. A
client that does not read slows down itself alone.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import trio

from accountd.client.errors import ClientError
from accountd.front.agent_side import AgentSide
from accountd.front.asked import find_request
from accountd.front.daemon_side import DaemonSide
from accountd.front.remote_side import RemoteSide
from accountd.front.route import KNOWN_TO_AGENT, is_of_accounts
from accountd.rpc.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.framing.base import Framing
    from accountd.front.asked import Asked
    from accountd.front.sides import Sides
    from accountd.rpc.peek import Envelope

_PROVIDERS_OWN: Final = frozenset({"account/read", "getAuthStatus"})
"""What the agent answers if its model provider needs no login: clients would ask for one otherwise."""


_LAST_ANSWERS_TIMEOUT: Final = 10.0
"""Seconds for what a client has asked before the end of what it says; a turn goes on without it."""


class _UntilAnswered(trio.abc.ReceiveStream):
    """The receiving half of a stream, whose end comes when all that has been asked is answered."""

    def __init__(self, stream: trio.abc.ReceiveStream, wait_answered: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._wait_answered = wait_answered

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See ReceiveStream."""
        data = await self._stream.receive_some(max_bytes)
        if not data:
            await self._wait_answered()
        return data

    async def aclose(self) -> None:
        """See ReceiveStream."""
        await self._stream.aclose()


class Router:
    """One client, from its connection to its end. To be `run` once. `unread` bytes wait for it at most."""

    def __init__(self, stream: trio.abc.Stream, framing: Framing, sides: Sides, unread: int) -> None:
        self._sides = sides
        stream = trio.StapledStream(stream, _UntilAnswered(stream, self._wait_answered))
        self._client = Endpoint(stream, framing, self._hear, before_reading=self._pass_on, room=unread)
        self._heard = deque[tuple["Envelope | None", bytes]]()
        self._agent = AgentSide(self._client, sides)
        self._daemon = (
            DaemonSide(self._client, sides, self._agent.begin)
            if sides.remote is None
            else RemoteSide(self._client, sides, sides.remote, self._agent.begin)
        )

    async def run(self) -> None:
        """Relay until the client leaves, or its agent does. Raises ClientError if there is no daemon to be had."""
        failure = None
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(self._daemon.serve)
                nursery.start_soon(self._agent.serve)
                await self._client.run()
            except ClientError as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _wait_answered(self) -> None:
        """Wait until what the client has asked is answered: one that has nothing more to say may still listen."""
        with trio.move_on_after(_LAST_ANSWERS_TIMEOUT):
            await self._pass_on()
            await self._daemon.wait_answered()
            await self._agent.wait_answered()

    def _hear(self, envelope: Envelope | None, payload: bytes) -> None:
        self._heard.append((envelope, payload))

    async def _pass_on(self) -> None:
        """Pass on what the client has said, before more of it is read."""
        while self._heard:
            envelope, payload = self._heard.popleft()
            request = find_request(envelope, payload)
            if envelope is None:
                await self._daemon.notify(payload)  # it says what is wrong with it
            elif request is not None:
                await self._ask(request)
            elif envelope.kind == "notification":
                await self._daemon.notify(payload)
                await self._agent.pass_on(payload)
            elif not await self._daemon.answer(envelope):
                await self._agent.pass_on(payload)

    async def _ask(self, request: Asked) -> None:
        if request.method == "initialize":
            self._agent.introduce(request)
        if self._agent.is_introduced and await self._is_for_agent(request.method):
            await self._agent.pass_on(request.payload, request)
        else:
            await self._daemon.ask(request)

    async def _is_for_agent(self, method: str) -> bool:
        if method in _PROVIDERS_OWN:
            return not await self._sides.requires_openai_auth()
        if method in KNOWN_TO_AGENT and self._sides.remote is not None:
            return True
        return method != "initialize" and not is_of_accounts(method)
