"""Targets: what clients and the daemon say to each other, inside a framing."""

from __future__ import annotations

import json
import re
import uuid
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from accountd.client.blocking_connection import BlockingConnection
from accountd.client.connection import Connection
from accountd.client.errors import ConnectionLost
from accountd.client.notifications import parse_notification
from accountd.errors import InvalidRequest, ParseError
from accountd.framing.base import Message
from accountd.protocol.account import Wire
from accountd.protocol.jsonrpc import (
    Malformed,
    Request,
    Response,
    parse_message,
    render_error,
    render_request,
    render_result,
)
from accountd.protocol.methods import METHODS, experimental_reason, find_method, parse_params
from accountd.protocol.thread_id import parse_thread_id
from accountd.rpc.pending import ConnectionEnded, PeerError, _Waiting
from fuzz.pieces import UNKNOWN, choose, read_json

if TYPE_CHECKING:
    import trio

_NAMES: Final = list(METHODS)


def fuzz_envelope(data: bytes) -> None:
    """Hold the envelope to the standard library's JSON and to the rules of JSON-RPC, read off plainly."""
    message = parse_message(data)
    if isinstance(message, Malformed):
        answer = json.loads(render_error(message.id, message.error))
        assert answer == {"id": message.id, "error": {"code": message.error.code, "message": str(message.error)}}
    try:
        value = read_json(data)
    except ValueError:
        assert isinstance(message, Malformed)
        assert message.id is None or b'"id"' in data
        return
    if value is not UNKNOWN:
        assert _summarise(message) == _summarise_json(value)
    if isinstance(message, Request) and isinstance(message.id, (int, str)):
        params = None if isinstance(message.params, msgspec.UnsetType) else message.params
        again = parse_message(render_request(message.id, message.method, params))
        assert isinstance(again, Request)
        assert (again.id, again.method) == (message.id, message.method)
        assert json.loads(render_result(message.id, {})) == {"id": message.id, "result": {}}


def _summarise(message: Request | Response | Malformed) -> Any:
    match message:
        case Request(method, request_id, params):
            return ("request", method, _json(request_id), _json(params))
        case Response(request_id, result, error):
            return ("response", request_id, _json(result), _json(error))
        case Malformed(request_id, ParseError()):
            return ("parse error", request_id)
        case Malformed(request_id, _):
            return ("invalid", request_id)


def _json(value: Any) -> Any:
    if value is msgspec.UNSET:
        return ...
    return json.loads(bytes(value)) if isinstance(value, msgspec.Raw) else value


def _summarise_json(value: Any) -> Any:
    """Sort a message in as it should be."""
    if not isinstance(value, dict):
        return ("invalid", None)
    request_id, method = value.get("id", ...), value.get("method", ...)
    known_id = isinstance(request_id, (int, str)) and not isinstance(request_id, bool)
    if isinstance(method, str) and (known_id or request_id is ...):
        return ("request", method, request_id, value.get("params", ...))
    if method is ... and {"result", "error"} & value.keys() and (known_id or request_id in (..., None)):
        return (
            "response",
            None if request_id is ... else request_id,
            value.get("result", ...),
            value.get("error", ...),
        )
    return ("invalid", request_id if known_id else None)


def fuzz_params(data: bytes) -> None:
    """Parse the params of a method: they are good, and the same when written again; or the error is an answer."""
    name, text = choose(data, _NAMES)
    assert find_method(name, extension=True) is METHODS[name]
    head = b'{"id":1,"method":' + msgspec.json.encode(name)
    message = parse_message(head + b',"params":' + text + b"}" if text else head + b"}")
    if not isinstance(message, Request) or message.method != name:
        return  # the envelope has refused it, or there are two
    try:
        params = parse_params(name, message.params)
    except InvalidRequest as error:
        answer = json.loads(render_error(1, error))
        assert answer["error"]["message"].startswith("Invalid request: ")
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
        assert METHODS[name].params is not None
        return
    if params is None:
        return
    assert isinstance(params, Wire)
    assert experimental_reason(name, params) in (None, name, f"{name}.{params.__struct_config__.tag}")
    assert parse_params(name, msgspec.Raw(msgspec.json.encode(params))) == params


_GROUPS: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_THREAD_ID: Final = re.compile(rf"(?i:[0-9a-f]{{32}}|{_GROUPS}|\{{{_GROUPS}\}})|urn:uuid:(?i:{_GROUPS})")


def fuzz_thread_id(data: bytes) -> None:
    """Hold the spellings of a thread's id to one pattern, and what is made of them to the standard library."""
    text = data.decode("utf-8", "replace")
    try:
        spelled = parse_thread_id(text)
    except InvalidRequest as error:
        assert str(error).startswith("invalid thread id: ")
        assert _THREAD_ID.fullmatch(text) is None
        return
    assert _THREAD_ID.fullmatch(text) is not None
    assert spelled == str(uuid.UUID(text))


def fuzz_client(data: bytes) -> None:
    """Let both clients hear the same lines: each takes one or gives up, and what both take is alike to them."""
    notifications, answers = _hear_by_trio(data)
    for method, params in notifications:
        parse_notification(method, params)
    said, answered = _hear_by_blocking(data)
    for (method, raw), (other, members) in zip(notifications, said, strict=False):
        assert method == other
        assert members in (json.loads(bytes(raw)), {})
    for request_id in answers.keys() & answered.keys():
        answer = answers[request_id]
        if isinstance(answer, msgspec.Raw):
            assert json.loads(bytes(answer)) == answered[request_id].get("result")
        else:
            assert isinstance(answer, PeerError)
            assert answer.code in (answered[request_id]["error"]["code"], None)


_PATH: Final = Path("/the/socket")
_CALLS: Final = range(1, 4)


def _hear_by_trio(data: bytes) -> tuple[list[tuple[str, msgspec.Raw]], dict[int | str, Any]]:
    heard: list[tuple[str, msgspec.Raw]] = []
    stream = cast("trio.abc.Stream", None)  # which only `run` would read
    connection = Connection(stream, _PATH, lambda method, params: heard.append((method, params)))
    endpoint = connection._endpoint
    waiting: dict[int | str, _Waiting] = {number: _Waiting(None) for number in _CALLS}
    endpoint._pending._waiting.update(waiting)
    endpoint._pending._given = _CALLS.stop
    for line in data.split(b"\n"):
        endpoint._take(Message(line))
        if endpoint.ended is not None:
            break
    outcomes = {number: call.outcome for number, call in waiting.items() if call.ended.is_set()}
    return heard, {number: each for number, each in outcomes.items() if not isinstance(each, ConnectionEnded)}


def _hear_by_blocking(data: bytes) -> tuple[list[tuple[str, dict[str, Any]]], dict[int | str, Any]]:
    connection = BlockingConnection.__new__(BlockingConnection)
    connection.path = str(_PATH)
    connection._socket = _Unused()  # type: ignore[assignment]  # nothing but its end is asked of it
    connection._unanswered = set(_CALLS)
    connection._responses = {}
    connection._notifications = deque()
    try:
        for line in data.split(b"\n"):
            connection._take(line)
    except ConnectionLost as lost:
        assert str(_PATH) in str(lost)
    return [(said.method, said.params) for said in connection._notifications], dict(connection._responses.items())


class _Unused:
    """A socket that nothing comes from."""

    def close(self) -> None:
        """Close it."""
