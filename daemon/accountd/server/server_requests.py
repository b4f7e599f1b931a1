"""What the server asks of a client: requests in the other direction, with ids of the server's own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.errors import ClientFailed
from accountd.foreign_json import UNDECODABLE
from accountd.protocol.jsonrpc import render_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.protocol.jsonrpc import Response
    from accountd.protocol.methods import ParamsT, ResultT, ServerRequest


_MAX_WORDS: Final = 1000  # characters of a client's refusal that go into an error's text


class _Pending:
    """One that is open: `settled` is set when it is answered, or never will be."""

    def __init__(self) -> None:
        self.settled = trio.Event()
        self.response: Response | None = None


class _Refusal(msgspec.Struct):
    code: int
    message: str


class ServerRequests:
    """The requests to one client that it has not answered."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._ids = itertools.count()
        self._open: dict[int, _Pending] = {}
        self._closed = False

    async def ask(self, request: ServerRequest[ParamsT, ResultT], params: ParamsT, *, timeout: float) -> ResultT:
        """Ask, and wait for the answer. Raises ClientFailed: refused, gone, too slow, or not an answer to that."""
        if self._closed:
            raise ClientFailed("request canceled: the client has left")
        question, number = _Pending(), next(self._ids)
        self._open[number] = question
        try:
            self._send(render_request(number, request.method, params))
            with trio.fail_after(timeout):
                await question.settled.wait()
        except trio.TooSlowError:
            raise ClientFailed(f"request timed out after {timeout:.0f}s") from None
        finally:
            del self._open[number]
        return _read(question.response, request.result)

    def answer(self, response: Response) -> None:
        """Take a client's answer. One that comes late, or to nothing that was asked, is let go."""
        question = self._open.get(response.id) if isinstance(response.id, int) else None
        if question is not None:
            question.response = response
            question.settled.set()

    def close(self) -> None:
        """Give up on what has not been answered: the client has left."""
        self._closed = True
        for question in self._open.values():
            question.settled.set()


def _read(response: Response | None, wanted: type[ResultT]) -> ResultT:
    if response is None:
        raise ClientFailed("request canceled: the client has left")
    try:
        if isinstance(response.result, msgspec.Raw):
            return msgspec.json.decode(response.result, type=wanted)
        if isinstance(response.error, msgspec.Raw):
            refusal = msgspec.json.decode(response.error, type=_Refusal)
            raise ClientFailed(f"request failed: code={refusal.code} message={refusal.message[:_MAX_WORDS]}")
    except UNDECODABLE:
        pass
    raise ClientFailed("request failed: the answer could not be understood") from None
