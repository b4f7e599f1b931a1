"""One connection to the daemon on trio: requests find their answers, and everything else is heard.

The reader is `run`; it calls what it is given at once and in the order in which the daemon spoke.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.client.errors import CallFailed, ConnectionLost
from accountd.framing.base import Ended, Message
from accountd.framing.ndjson import NdjsonFraming
from accountd.protocol.jsonrpc import Request, Response, parse_message, render_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LONGEST_MESSAGE: Final = 16 * 1024 * 1024
"""Bytes in one line; Codex ends a connection over larger frames."""

SEND_TIMEOUT: Final = 10.0
"""Seconds for a request to leave; a daemon that is well takes it at once."""


class _ErrorBody(msgspec.Struct):
    code: int
    message: str


Answer = msgspec.Raw | CallFailed | ConnectionLost


class _Waiting:
    """A request that is not answered yet; it has an `answer` once it is `answered`."""

    answer: Answer

    def __init__(self, seen: Callable[[msgspec.Raw], None] | None) -> None:
        self.answered = trio.Event()
        self._seen = seen

    def settle(self, answer: Answer) -> None:
        """Take the answer. Called by the reader, before it reads on."""
        self.answer = answer
        if self._seen is not None and isinstance(answer, msgspec.Raw):
            self._seen(answer)
        self.answered.set()


class Connection:
    """To be `run` once, by a task of its own. `lost` says why it has ended, once it has."""

    def __init__(self, stream: trio.abc.Stream, path: Path, hear: Callable[[str, msgspec.Raw], None]) -> None:
        self.lost: ConnectionLost | None = None
        self._stream = stream
        self._path = path
        self._hear = hear
        self._framing = NdjsonFraming(LONGEST_MESSAGE)
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._sending = trio.Lock()
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        """Read until the connection ends. Raises nothing of the daemon's doing; requests that wait are told."""
        reason = "was left"
        try:
            async with self._stream:
                with self._scope:
                    reason = await self._read()
        finally:
            self._lose(reason)

    def close(self) -> None:
        """End `run`."""
        self._scope.cancel()

    async def request(
        self, method: str, params: Mapping[str, object], seen: Callable[[msgspec.Raw], None] | None = None
    ) -> msgspec.Raw:
        """Ask, and give the result. Raises CallFailed or ConnectionLost.

        Cancelling this takes nothing back that was asked for: `seen`, which is called with a result before
        anything is read that comes after it, is called even then.
        """
        request_id = next(self._ids)
        waiting = self._waiting[request_id] = _Waiting(seen)
        await self._send(render_request(request_id, method, params))
        await waiting.answered.wait()
        if isinstance(waiting.answer, msgspec.Raw):
            return waiting.answer
        raise waiting.answer

    async def notify(self, method: str) -> None:
        """Say something that has no answer. Raises ConnectionLost."""
        await self._send(msgspec.json.encode({"method": method}))

    async def _send(self, payload: bytes) -> None:
        """Send a line whole: half a line would spoil the next one, so a cancellation comes before it or after."""
        async with self._sending:
            if self.lost is not None:
                raise self.lost
            with trio.move_on_after(SEND_TIMEOUT, shield=True) as scope:
                try:
                    await self._stream.send_all(self._framing.send(payload))
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    raise self._lose("closed the connection") from None
            if scope.cancelled_caught:
                self.close()
                raise self._lose(f"did not read for {SEND_TIMEOUT:g} seconds")

    async def _read(self) -> str:
        """Take in what the daemon says, and give the reason for which there is no more of it."""
        while True:
            try:
                data = bytes(await self._stream.receive_some())
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return "closed the connection"
            for event in self._framing.receive(data):
                match event:
                    case Message(payload) if not self._take(payload):
                        return "sent something that is not the protocol; is it an accountd?"
                    case Ended(complaint):
                        return f"broke a rule: {complaint}" if complaint else "closed the connection"

    def _take(self, payload: bytes) -> bool:
        """Sort one message in; False for what is none, since nothing after it can be trusted."""
        match parse_message(payload):
            case Request(method, id=msgspec.UNSET, params=params):
                self._hear(method, msgspec.Raw(b"null") if params is msgspec.UNSET else params)
            case Request():
                pass  # only clients that gave it tokens of their own are asked
            case Response(id=int(request_id), result=result, error=error):
                answer = _parse_error(error) if result is msgspec.UNSET else result
                if answer is None or request_id not in self._waiting:
                    return False
                self._waiting.pop(request_id).settle(answer)
            case _:
                return False
        return True

    def _lose(self, reason: str) -> ConnectionLost:
        """Note why the connection has ended, unless that is known already."""
        if self.lost is None:
            self.lost = ConnectionLost(f"the daemon at {self._path} {reason}")
            for waiting in self._waiting.values():
                waiting.settle(self.lost)
            self._waiting.clear()
        return self.lost


def _parse_error(error: msgspec.Raw | msgspec.UnsetType) -> CallFailed | None:
    try:
        body = msgspec.json.decode(b"" if error is msgspec.UNSET else error, type=_ErrorBody)
    except msgspec.DecodeError:
        return None
    return CallFailed(body.code, body.message)
