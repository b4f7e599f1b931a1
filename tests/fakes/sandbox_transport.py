"""The sandbox in the place of the network: what httpx would send, it answers, and no socket is open."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import httpx
import trio

from accountd.sandbox.message import ConnectionDropped, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from accountd.sandbox import Sandbox

    Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


class SandboxTransport(httpx.AsyncBaseTransport):
    """Sends to a sandbox. A dropped connection is what httpx makes of one; `offline` makes every request fail.

    A request is `distance` seconds on its way, and so is its answer; where that is None, there is no way at all.
    Whoever has a path in `instead` is reached by a way of their own.
    """

    def __init__(self, sandbox: Sandbox, instead: Mapping[str, Answer] = MappingProxyType({})) -> None:
        self._sandbox = sandbox
        self._instead = instead
        self.offline = False
        self.distance: float | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        if (answer := self._instead.get(request.url.path)) is not None:
            return await answer(request)
        if self.offline:
            raise httpx.ConnectError("All connection attempts failed", request=request)
        await self._go()
        try:
            response = await self._sandbox.respond(
                Request(
                    request.method,
                    request.url.path,
                    request.url.query.decode(),
                    {name.lower(): value for name, value in request.headers.items()},
                    await request.aread(),
                )
            )
        except ConnectionDropped:
            raise httpx.RemoteProtocolError("Server disconnected without a response", request=request) from None
        await self._go()
        return httpx.Response(response.status, headers=dict(response.headers), content=response.body)

    async def _go(self) -> None:
        if self.distance is not None:
            await trio.sleep(self.distance)
