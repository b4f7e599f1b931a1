"""What one client asks of accounts, where the account is a token socket's: in the place of its `daemon_side`.

A client has no connection of its own to the other side, which may not be there: it is introduced here.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec
import trio

from accountd import paths
from accountd.client.errors import CallFailed
from accountd.codex.user_agent import platform_os
from accountd.codex.version import CODEX_VERSION
from accountd.errors import InvalidRequest, RequestError
from accountd.protocol.account import InitializeResponse
from accountd.protocol.jsonrpc import Malformed, parse_message, render_error, render_result
from accountd.protocol.methods import TOKEN_METHODS, find_method, parse_params
from accountd.rpc.pending import ConnectionEnded
from accountd.server.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.front.asked import Asked
    from accountd.front.remote_account import RemoteAccount
    from accountd.front.sides import Sides
    from accountd.hub import Notification
    from accountd.rpc.endpoint import Endpoint
    from accountd.rpc.peek import Envelope
    from accountd.server.session import Session

_ASKED: Final = TOKEN_METHODS - {"initialize"}


class RemoteSide:
    """The client's account. See DaemonSide, which has the same methods."""

    def __init__(
        self, client: Endpoint, sides: Sides, remote: RemoteAccount, introduced: Callable[[], None]
    ) -> None:
        self._client = client
        self._sides = sides
        self._remote = remote
        self._introduced = introduced
        self._session: Session | None = None
        self._asked = 0
        self._has_answered = trio.Event()

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Answer, and tell what is heard, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            with self._remote.told.subscribe(self._hear):
                task_status.started()
                await trio.sleep_forever()
        raise AssertionError("nothing ends this but a cancellation")

    async def ask(self, request: Asked) -> None:
        """Answer a request: the introduction at once, since what comes after it counts on it."""
        if request.method == "initialize":
            await self._answer(request)
        else:
            self._asked += 1
            self._nursery.start_soon(self._answer_later, request)

    async def wait_answered(self) -> None:
        """Wait until nothing that was asked waits for its answer."""
        while self._asked:
            self._has_answered = trio.Event()
            await self._has_answered.wait()

    async def notify(self, payload: bytes) -> None:
        """Say what is wrong with what is no message; a notification is for nobody here."""
        match parse_message(payload):
            case Malformed(id=request_id, error=error):
                self._tell(render_error(request_id, error))

    async def answer(self, _answer: Envelope) -> bool:
        """Return False: nothing was asked of the client."""
        return False

    async def _answer_later(self, request: Asked) -> None:
        try:
            await self._answer(request)
        finally:
            self._asked -= 1
            self._has_answered.set()

    async def _answer(self, request: Asked) -> None:
        try:
            result = await (self._introduce(request) if request.method == "initialize" else self._ask(request))
        except RequestError as error:
            extension = self._session is not None and self._session.extension
            self._tell(render_error(request.id, error, extension=extension))
        except CallFailed as error:
            body = {"code": error.code, "message": error.message}
            self._tell(msgspec.json.encode({"id": request.id, "error": body}))
        else:
            self._tell(render_result(request.id, result))
            if request.method == "initialize":
                self._introduced()

    async def _introduce(self, request: Asked) -> InitializeResponse:
        params = parse_params("initialize", msgspec.Raw(request.params or b"null"))
        if self._session is not None:
            raise InvalidRequest("Already initialized")
        session = open_session(params, None)
        version = await self._sides.agent_version() or CODEX_VERSION
        self._session = session
        return InitializeResponse(
            user_agent=session.user_agent.replace(f"/{CODEX_VERSION} ", f"/{version} ", 1),
            codex_home=paths.tell(self._sides.codex_home),
            platform_family="unix",
            platform_os=platform_os(),
        )

    async def _ask(self, request: Asked) -> object:
        if self._session is None:
            raise InvalidRequest("Not initialized")
        find_method(request.method, extension=self._session.extension)
        if request.method not in _ASKED:
            raise self._remote.refuse(request.method)
        parse_params(request.method, msgspec.Raw(request.params or b"null"))
        return await self._remote.ask(request.method, msgspec.json.decode(request.params, type=dict[str, Any]))

    def _hear(self, notification: Notification) -> None:
        if self._session is not None and self._session.wants(notification):
            self._tell(notification.payload)

    def _tell(self, payload: bytes) -> None:
        with suppress(ConnectionEnded):
            self._client.send(payload)
