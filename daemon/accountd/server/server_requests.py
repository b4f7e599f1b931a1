"""What the server asks of a client: requests in the other direction, with ids of the server's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.errors import ClientFailed
from accountd.foreign_json import UNDECODABLE
from accountd.protocol.jsonrpc import render_request
from accountd.rpc.pending import ConnectionEnded, PeerError, Pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.protocol.jsonrpc import Response
    from accountd.protocol.methods import ParamsT, ResultT, ServerRequest


_MAX_WORDS: Final = 1000  # characters of a client's refusal that go into an error's text


class ServerRequests:
    """The requests to one client that it has not answered."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._pending = Pending()

    async def ask(self, request: ServerRequest[ParamsT, ResultT], params: ParamsT, *, timeout: float) -> ResultT:
        """Ask, and wait for the answer. Raises ClientFailed: refused, gone, too slow, or not an answer to that."""
        try:
            with trio.fail_after(timeout):
                result = await self._pending.ask(
                    lambda number: self._send(render_request(number, request.method, params))
                )
            return msgspec.json.decode(result, type=request.result)
        except trio.TooSlowError:
            reason = f"request timed out after {timeout:.0f}s"
        except ConnectionEnded:
            reason = "request canceled: the client has left"
        except PeerError as error:
            reason = f"request failed: code={error.code} message={error.message[:_MAX_WORDS]}"
        except UNDECODABLE:
            reason = "request failed: the answer could not be understood"
        raise ClientFailed(reason)

    def answer(self, response: Response) -> None:
        """Take a client's answer. One that comes late, or to nothing that was asked, is let go."""
        self._pending.settle(response.id, response.result, response.error)

    def close(self) -> None:
        """Give up on what has not been answered: the client has left."""
        self._pending.end("has left")
