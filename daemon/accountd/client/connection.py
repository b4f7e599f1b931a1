"""One connection to the daemon on trio: the endpoint of rpc, in the library's words and with its errors.

Notifications are heard at once, in the order in which the daemon spoke.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.client.connecting import LONGEST_MESSAGE
from accountd.client.errors import AnswerUnknown, CallFailed, ConnectionLost
from accountd.foreign_json import read_member
from accountd.framing.ndjson import NdjsonFraming
from accountd.protocol.jsonrpc import ErrorData
from accountd.rpc.endpoint import Endpoint
from accountd.rpc.peek import Envelope
from accountd.rpc.pending import ConnectionEnded, PeerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SEND_TIMEOUT: Final = 10.0
"""Seconds for a request to leave; a daemon that is well takes it at once."""


class Connection:
    """To be `run` once, by a task of its own."""

    def __init__(self, stream: trio.abc.Stream, path: Path, hear: Callable[[str, msgspec.Raw], None]) -> None:
        self._path = path
        self._hear = hear
        self._endpoint = Endpoint(stream, NdjsonFraming(LONGEST_MESSAGE), self._take, send_timeout=SEND_TIMEOUT)

    @property
    def lost(self) -> ConnectionLost | None:
        """Why the connection has ended, once it has."""
        ended = self._endpoint.ended
        return None if ended is None else self._lose(ended)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read until the connection ends. Raises nothing of the daemon's doing; requests that wait are told."""
        await self._endpoint.run(task_status)

    def close(self) -> None:
        """End `run`."""
        self._endpoint.end("was left")

    async def request(
        self, method: str, params: Mapping[str, object], seen: Callable[[msgspec.Raw], None] | None = None
    ) -> msgspec.Raw:
        """Ask, and give the result. Raises CallFailed, AnswerUnknown or ConnectionLost.

        Cancelling this takes nothing back that was asked for: `seen`, which is called with a result before
        anything is read that comes after it, is called even then.
        """
        try:
            return await self._endpoint.request(method, params, seen)
        except ConnectionEnded as ended:
            raise self._lose(ended) from None
        except PeerError as error:
            if error.code is None:
                raise AnswerUnknown(f"the daemon answered with {error.message}") from None
            told = read_member(error.data, ErrorData)
            if told is None:
                raise CallFailed(error.code, error.message) from None
            candidates = told.accountd.candidates or ()
            raise CallFailed(error.code, error.message, told.accountd.reason, candidates) from None

    async def keep_alive(self, seconds: float) -> None:
        """Ask for an answer each so many seconds, and end the connection if none comes in as many; until it ends.

        For a connection that somebody forwards, which does not end when the other side has gone.
        """
        while self.lost is None:
            await trio.sleep(seconds)
            with trio.move_on_after(seconds) as waiting, suppress(ConnectionLost, CallFailed, AnswerUnknown):
                await self.request("getAuthStatus", {})
            if waiting.cancelled_caught:
                self._endpoint.end(f"has not answered for {seconds:g} seconds")

    def notify(self, method: str) -> None:
        """Say something that has no answer. Raises ConnectionLost."""
        try:
            self._endpoint.send(msgspec.json.encode({"method": method}))
        except ConnectionEnded as ended:
            raise self._lose(ended) from None

    def _take(self, envelope: Envelope | None, _payload: bytes) -> None:
        """Take what is no answer. After what is nothing of the protocol's, nothing can be trusted."""
        match envelope:
            case Envelope(method=str(method), id=msgspec.UNSET, params=params):
                self._hear(method, msgspec.Raw(b"null") if params is msgspec.UNSET else params)
            case Envelope(method=str()):
                pass  # only clients that gave it tokens of their own are asked
            case _:
                self._endpoint.end("sent something that is not the protocol; is it an accountd?")

    def _lose(self, ended: ConnectionEnded) -> ConnectionLost:
        return ConnectionLost(f"the daemon at {self._path} {ended}")
