"""The requests of this side that have no answer yet.

Each ends once: with its answer, with the end of the connection, or when whoever asked gives it up; whichever comes
first counts. An id is never given out twice, so an answer that comes late, or a second one, answers nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import trio
from msgspec import Raw, UnsetType

from accountd.foreign_json import ABSENT, UNDECODABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.protocol.jsonrpc import RequestId


class ConnectionEnded(Exception):
    """There is no connection, so there will be no answer. The text says how it ended: `closed the connection`."""


class PeerError(Exception):
    """The answer is an error; `code` is None if it could not be read, `data` null if it has none."""

    def __init__(self, code: int | None, message: str, data: Raw = ABSENT) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class _ErrorBody(msgspec.Struct):
    code: int
    message: str
    data: Raw = ABSENT


class _Waiting:
    """A request that waits; it has an `outcome` once it has `ended`."""

    outcome: Raw | PeerError | ConnectionEnded

    def __init__(self, seen: Callable[[Raw], None] | None) -> None:
        self.ended = trio.Event()
        self._seen = seen

    def end(self, outcome: Raw | PeerError | ConnectionEnded) -> None:
        self.outcome = outcome
        if self._seen is not None and isinstance(outcome, Raw):
            self._seen(outcome)
        self.ended.set()


class Pending:
    """One connection's. The ids are whole numbers from 0; with a `prefix`, texts that begin so and end with one."""

    def __init__(self, prefix: str | None = None) -> None:
        self._prefix = prefix
        self._given = 0
        self._waiting: dict[RequestId, _Waiting] = {}
        self._end: str | None = None

    async def ask(self, send: Callable[[RequestId], None], seen: Callable[[Raw], None] | None = None) -> Raw:
        """Send a request with an id of its own, and return its result. Raises PeerError or ConnectionEnded.

        Cancelling this takes nothing back that was asked for, so `seen` is called with a result even then: before
        `settle` returns, and so before anything later is read. Without it the request is forgotten.
        """
        if self._end is not None:
            raise ConnectionEnded(self._end)
        request_id = self._given if self._prefix is None else f"{self._prefix}{self._given}"
        self._given += 1
        waiting = self._waiting[request_id] = _Waiting(seen)
        try:
            send(request_id)
            await waiting.ended.wait()
        finally:
            if seen is None:
                self._waiting.pop(request_id, None)
        if isinstance(waiting.outcome, Raw):
            return waiting.outcome
        raise waiting.outcome

    def settle(
        self, request_id: RequestId | UnsetType | None, result: Raw | UnsetType, error: Raw | UnsetType
    ) -> bool:
        """Take an answer. False if it answers nothing that was asked here; True also if nobody waits for it now."""
        if not isinstance(request_id, int | str) or not self._is_ours(request_id):
            return False
        waiting = self._waiting.pop(request_id, None)
        if waiting is not None:
            waiting.end(result if isinstance(result, Raw) else _read_error(error))
        return True

    def _is_ours(self, request_id: RequestId) -> bool:
        if self._prefix is not None:
            return isinstance(request_id, str) and request_id.startswith(self._prefix)
        return isinstance(request_id, int) and 0 <= request_id < self._given

    def end(self, how: str) -> None:
        """Fail all that wait, and whoever asks from now on. Said a second time, it changes nothing."""
        if self._end is None:
            self._end = how
            for waiting in self._waiting.values():
                waiting.end(ConnectionEnded(how))
            self._waiting.clear()


def _read_error(error: Raw | UnsetType) -> PeerError:
    try:
        body = msgspec.json.decode(error if isinstance(error, Raw) else b"", type=_ErrorBody)
    except UNDECODABLE:
        return PeerError(None, "an error that could not be read")
    return PeerError(body.code, body.message, body.data)
