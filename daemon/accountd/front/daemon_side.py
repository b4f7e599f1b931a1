"""One client's connection to the daemon: as if it were there itself, with its own `initialize`.

A daemon that ends is waited for, and started where one is started at all; the client is introduced to the next one,
and goes on. What it had asked the old one is asked again if it reads, and fails if it does not.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec
import trio

from accountd.client.errors import ClientError
from accountd.codex.version import CODEX_VERSION
from accountd.errors import InvalidRequest, RequestFailed
from accountd.framing.base import too_large
from accountd.framing.ndjson import NdjsonFraming
from accountd.front.route import DAEMONS_ID, INITIALIZED, MOVES_ACCOUNT, OURS, TELLS_ACCOUNT, is_read
from accountd.protocol.jsonrpc import render_error
from accountd.rpc.endpoint import Endpoint
from accountd.rpc.pending import ConnectionEnded, PeerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.front.asked import Asked
    from accountd.front.sides import Sides
    from accountd.protocol.jsonrpc import RequestId
    from accountd.rpc.peek import Envelope

LONGEST: Final = 1 << 20
"""Bytes of a message about accounts; the daemon ends a connection over a larger one."""

_LONGEST_ANSWER: Final = 16 << 20

_TIMEOUT: Final = 10.0
"""Seconds for a daemon that has gone to be there again, before a request about accounts fails."""

_RETRY_DELAYS: Final = (0.1, 5.0)

_log = logging.getLogger(__name__)


class DaemonSide:
    """The connection, and the next one when it is lost. `serve` is to run in a task of its own.

    `introduced` is called when the client has been answered its `initialize`.
    """

    def __init__(self, client: Endpoint, sides: Sides, introduced: Callable[[], None]) -> None:
        self._introduced = introduced
        self._client = client
        self._sides = sides
        self._endpoint: Endpoint | None = None
        self._is_open = trio.Event()
        self._said = deque[tuple["Envelope | None", bytes]]()
        self._asked: dict[RequestId, Asked] = {}
        self._has_answered = trio.Event()
        self._introduction: Asked | None = None

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Have a connection until cancelled; started once there is one. Raises ClientError if none is to be had."""
        stream = await self._sides.open_daemon()
        task_status.started()
        while True:
            await self._live(stream)
            stream = await self._open_again()

    async def _live(self, stream: trio.abc.Stream) -> None:
        """Live one connection to its end. A client that has introduced itself is introduced first."""
        endpoint = Endpoint(
            stream, NdjsonFraming(_LONGEST_ANSWER), self._hear, prefix=OURS, before_reading=self._pass_on
        )
        async with trio.open_nursery() as nursery:
            with suppress(ConnectionEnded, PeerError):
                await nursery.start(endpoint.run)
                if self._introduction is not None:
                    await endpoint.request("initialize", msgspec.Raw(self._introduction.params))
                    endpoint.send(INITIALIZED)
                for request in self._asked.values():
                    endpoint.send(request.payload)
                self._endpoint = endpoint
                self._is_open.set()
        self._endpoint, self._is_open = None, trio.Event()
        failure = RequestFailed("the account daemon has ended before it answered; ask again")
        for request in tuple(self._asked.values()):
            if not is_read(request.method):
                del self._asked[request.id]
                self._tell(render_error(request.id, failure))

    async def _open_again(self) -> trio.abc.Stream:
        delay, longest = _RETRY_DELAYS
        while True:
            await trio.sleep(delay)
            try:
                return await self._sides.open_daemon()
            except ClientError as error:
                _log.warning("%s", error)
            delay = min(2 * delay, longest)

    async def ask(self, request: Asked) -> None:
        """Pass a request on; or answer it, if the daemon is not there or would end the connection over it."""
        if len(request.payload) > LONGEST:
            self._tell(render_error(request.id, InvalidRequest(too_large(LONGEST))))
            return
        with trio.move_on_after(_TIMEOUT):
            await self._is_open.wait()
        if self._endpoint is None:
            self._tell(render_error(request.id, RequestFailed("the account daemon cannot be reached; ask again")))
            return
        if request.method == "initialize":
            self._introduction = request
        self._asked[request.id] = request
        await self._send(request.payload)

    async def wait_answered(self) -> None:
        """Wait until nothing that was asked waits for its answer."""
        while self._asked:
            self._has_answered = trio.Event()
            await self._has_answered.wait()

    async def notify(self, payload: bytes) -> None:
        """Pass a notification on, or what is no message, so that the daemon says what is wrong with it."""
        if len(payload) <= LONGEST:
            await self._send(payload)

    async def answer(self, answer: Envelope) -> bool:
        """Pass on the answer to what the daemon has asked. False, and nothing is done, if it is none."""
        if not isinstance(answer.id, str) or not answer.id.startswith(DAEMONS_ID):
            return False
        number = answer.id.removeprefix(DAEMONS_ID)
        if number.isdecimal():
            await self._send(_encode(id=int(number), result=answer.result, error=answer.error))
        return True

    async def _send(self, payload: bytes) -> None:
        if self._endpoint is not None:
            await self._endpoint.wait_room()
            with suppress(ConnectionEnded):
                self._endpoint.send(payload)

    def _hear(self, envelope: Envelope | None, payload: bytes) -> None:
        self._said.append((envelope, payload))

    async def _pass_on(self) -> None:
        """Pass on what the daemon has said, in its order; what tells of another login, when the agent has that."""
        while self._said:
            envelope, payload = self._said.popleft()
            if envelope is None:
                continue
            method = ""
            if envelope.kind == "response":
                asked = self._asked.pop(envelope.id, None) if isinstance(envelope.id, int | str) else None
                method = asked.method if asked is not None else ""
                if method in MOVES_ACCOUNT:
                    await self._sides.feed.sync()
                elif method == "initialize":
                    payload = await self._name_version(envelope, payload)
            elif envelope.method in TELLS_ACCOUNT:
                await self._sides.feed.sync()
            elif envelope.kind == "request":
                payload = _encode(method=envelope.method, id=f"{DAEMONS_ID}{envelope.id}", params=envelope.params)
            await self._client.wait_room()
            self._tell(payload)
            self._has_answered.set()
            if method == "initialize":
                self._introduced()

    async def _name_version(self, answer: Envelope, payload: bytes) -> bytes:
        """Have the user agent name the agent's version, which clients take for that of the app-server."""
        version = await self._sides.agent_version()
        if version is None or answer.result is msgspec.UNSET:
            return payload
        result = msgspec.json.decode(answer.result, type=dict[str, Any])
        result["userAgent"] = result["userAgent"].replace(f"/{CODEX_VERSION} ", f"/{version} ", 1)
        return _encode(id=answer.id, result=result)

    def _tell(self, payload: bytes) -> None:
        with suppress(ConnectionEnded):
            self._client.send(payload)


def _encode(**members: object) -> bytes:
    """Write a message anew, of the members that are set, with what was not looked into as it came."""
    return msgspec.json.encode({name: value for name, value in members.items() if value is not msgspec.UNSET})
