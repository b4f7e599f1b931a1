"""The envelope: JSON-RPC 2.0 as the Codex app-server writes it, without a `jsonrpc` member.

A message is decoded in two steps: first the envelope, with `params` left as bytes; then the params, when the
method is known. So a request with bad params still has an id that its error can be sent to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from accountd.errors import InvalidRequest, ParseError, RequestError, RequestFailed
from accountd.foreign_json import UNDECODABLE
from accountd.protocol.explain import explain_decode_error
from accountd.protocol.reasons import OF_THE_EXTENSION, ErrorReason, explain_reason
from accountd.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

RequestId = int | str


class Request(msgspec.Struct, frozen=True):
    """A request or, where `id` is UNSET, a notification. `params` is UNSET or JSON text."""

    method: str
    id: RequestId | UnsetType
    params: msgspec.Raw | UnsetType


class Response(msgspec.Struct, frozen=True):
    """A client's answer to a request of the server's, or its complaint, with a null id, about what it was sent.

    Of `result` and `error` one is JSON text and the other UNSET.
    """

    id: RequestId | None
    result: msgspec.Raw | UnsetType = UNSET
    error: msgspec.Raw | UnsetType = UNSET


class Malformed(msgspec.Struct, frozen=True):
    """Bytes that are no message, and the error that says why. `id` is null unless one could be read."""

    id: RequestId | None
    error: RequestError


class _Envelope(msgspec.Struct):
    method: str | UnsetType = UNSET
    id: RequestId | UnsetType | None = UNSET
    params: msgspec.Raw | UnsetType = UNSET
    result: msgspec.Raw | UnsetType = UNSET
    error: msgspec.Raw | UnsetType = UNSET


class _Identified(msgspec.Struct):
    id: msgspec.Raw
    method: msgspec.Raw  # what has none is an answer, and its id is not the client's


class _Members(msgspec.Struct):
    id: msgspec.Raw | UnsetType = UNSET
    method: msgspec.Raw | UnsetType = UNSET


class Result(msgspec.Struct):
    """The answer to a request that succeeded."""

    id: RequestId
    result: Any


class _Request(msgspec.Struct):
    method: str
    id: RequestId
    params: Any


class ErrorData(msgspec.Struct):
    """What is told of an error to clients that declare the accountd extension."""

    accountd: ErrorReason


class ErrorBody(msgspec.Struct):
    """What went wrong: a code of JSON-RPC 2.0 section 5.1, or of Codex's, and a text for a person."""

    code: int
    message: str
    data: Annotated[ErrorData, OF_THE_EXTENSION] | UnsetType = UNSET


class Error(msgspec.Struct):
    """The answer to a request that failed; the id is null if it could not be read."""

    id: RequestId | None
    error: ErrorBody


class _Notification(msgspec.Struct, rename="camel"):
    method: str
    params: Any
    emitted_at_ms: int


_decoder: Final = msgspec.json.Decoder(_Envelope)
_members_decoder: Final = msgspec.json.Decoder(_Members)
_identified_decoder: Final = msgspec.json.Decoder(_Identified)
_id_decoder: Final[msgspec.json.Decoder[RequestId]] = msgspec.json.Decoder(RequestId)
_encoder: Final = msgspec.json.Encoder()

_HALVES: Final = re.compile("[\ud800-\udfff]")
"""Halves of surrogate pairs, which stand for no character and have no form in UTF-8."""

_STAND_IN: Final = b"\x7f"
_IN_ASCII: Final = bytes(range(0x80)) + _STAND_IN * 0x80
"""What makes a copy of a message in which all is ASCII: quickly, however much of it is not."""

_MAX_TEXT: Final = 2000
"""Characters of an error. It may quote what was sent, and a person reads it."""


_LEADING_ID: Final = re.compile(
    rb'\s*+\{(?:\s*+"jsonrpc"\s*+:\s*+"[^"\\]*+"\s*+,)?+'
    rb'\s*+"id"\s*+:\s*+(-?[0-9]++|"[^"\\]*+")\s*+,\s*+"method"\s*+:'
)
"""The beginning of most requests. What follows, JSON or not, does not make it another's."""


def parse_message(payload: bytes) -> Request | Response | Malformed:
    """Read one message. Never raises: what cannot be read is a value too, since the connection goes on."""
    try:
        payload.decode()  # msgspec skips over text that nobody has asked for yet, well-formed or not
        envelope = _decoder.decode(payload)
    except msgspec.ValidationError:
        return _explain_malformed(payload)
    except UNDECODABLE as error:
        return _explain_unreadable(payload, error)
    if isinstance(envelope.method, str) and envelope.id is not None:
        return Request(envelope.method, envelope.id, envelope.params)
    if envelope.method is UNSET and (envelope.result is not UNSET or envelope.error is not UNSET):
        request_id = None if envelope.id is UNSET else envelope.id
        return Response(request_id, envelope.result, envelope.error)
    return _explain_malformed(payload)


def _explain_malformed(payload: bytes) -> Malformed:
    """Return the error for JSON that is no message; with its id, if that is good, so that it finds its call."""
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)  # is it JSON to its end?
        members = _members_decoder.decode(payload)
    except msgspec.ValidationError:
        return Malformed(None, InvalidRequest("Invalid request: a message must be an object"))
    except UNDECODABLE as error:  # the first decoding stopped before it came to this
        return _explain_unreadable(payload, error)
    request_id: RequestId | None = None
    if members.id is not UNSET:
        try:
            request_id = _id_decoder.decode(members.id)
        except UNDECODABLE:
            return Malformed(None, InvalidRequest("Invalid request: id must be a string or an integer"))
    if members.method is not UNSET:
        return Malformed(request_id, InvalidRequest("Invalid request: method must be a string"))
    return Malformed(request_id, InvalidRequest("Invalid request: missing field `method`"))


def _explain_unreadable(payload: bytes, error: Exception) -> Malformed:
    """Return the error for bytes that are no JSON; with their id, if it can be told: somebody waits for its answer.

    Half of a surrogate pair, and bytes that are no UTF-8, spoil a text and not what stands around it: the id is
    looked for in a copy in which other characters stand for them.
    """
    copy = payload.translate(_IN_ASCII)
    for half in (b"\\ud", b"\\uD"):
        copy = copy.replace(half, b"\\ue")  # a whole pair becomes two characters, which nobody reads
    try:
        found: bytes | None = bytes(_identified_decoder.decode(copy).id)
        told = "a text in it is no Unicode"
    except UNDECODABLE:
        leading = _LEADING_ID.match(payload)
        found = None if leading is None else leading[1]
        told = explain_decode_error(error)
    return Malformed(_read_id(found), ParseError(f"Parse error: {told}"))


def _read_id(found: bytes | None) -> RequestId | None:
    """Read an id; None if it is none, or may have been a text that was changed in the copy."""
    if found is None or b"\\ue" in found or _STAND_IN in found:
        return None
    try:
        return _id_decoder.decode(found)
    except UNDECODABLE:
        return None


def render_request(request_id: RequestId, method: str, params: object) -> bytes:
    """Write a request of the server's to a client."""
    return _encode(_Request(method, request_id, params))


def render_result(request_id: RequestId, result: object) -> bytes:
    """Write the answer to a request that succeeded."""
    return _encode(Result(request_id, result))


def render_error(request_id: RequestId | None, error: RequestError, *, extension: bool = False) -> bytes:
    """Write the answer to a request that failed; a null id says that it could not be read.

    With `extension`, for a client that declares it, the error has its reason. What something outside may have put
    into words is redacted. Others have our words, and those of the client.
    """
    text = redact(str(error)) if isinstance(error, RequestFailed) else str(error)
    if len(text) > _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]}…"
    data = ErrorData(explain_reason(error)) if extension else UNSET
    return _encode(Error(request_id, ErrorBody(error.code, text, data)))


def render_notification(method: str, params: object, emitted_at_ms: int) -> bytes:
    """Write a notification, redacted and stamped with the Unix time in milliseconds."""
    redacted = _change_texts(msgspec.to_builtins(params), redact)
    return _encode(_Notification(method, redacted, emitted_at_ms))


def _encode(message: object) -> bytes:
    """Write a message, whatever its texts name: a file may have bytes in its name that are no UTF-8.

    They are halves of surrogate pairs here, and are replaced as `paths.tell` does it. Few files have any, so they
    are looked for when the encoder has found one.
    """
    try:
        return _encoder.encode(message)
    except UnicodeEncodeError:
        return _encoder.encode(_change_texts(msgspec.to_builtins(message), _replace_halves))


def _replace_halves(text: str) -> str:
    return _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)


def _change_texts(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            return {name: _change_texts(member, change) for name, member in value.items()}
        case list() | tuple():
            return [_change_texts(member, change) for member in value]
    return value
