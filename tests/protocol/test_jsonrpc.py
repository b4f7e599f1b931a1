"""The envelope: whatever comes is a message or says what it lacks, and an id comes back as it went in."""

from __future__ import annotations

import json
import os
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import InvalidRequest, Overloaded, ParseError, RequestError, RequestFailed
from accountd.protocol.account import AccountLoginCompleted, ReadStoreResponse
from accountd.protocol.jsonrpc import (
    Malformed,
    Request,
    Response,
    parse_message,
    render_error,
    render_notification,
    render_request,
    render_result,
)

NOT_AN_OBJECT = "Invalid request: a message must be an object"
BAD_ID = "Invalid request: id must be a string or an integer"
BAD_METHOD = "Invalid request: method must be a string"
NO_METHOD = "Invalid request: missing field `method`"

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
IDS = st.integers() | st.text(max_size=8)


def malformed(payload: bytes) -> tuple[object, int, str]:
    """Parse what is no message, and give the id, the code and the text that its client is sent."""
    message = parse_message(payload)
    assert isinstance(message, Malformed)
    answer = json.loads(render_error(message.id, message.error))
    return answer["id"], answer["error"]["code"], answer["error"]["message"]


@pytest.mark.parametrize(
    ("payload", "message_id", "params"),
    [
        (b'{"id":1,"method":"m"}', 1, None),
        (b'{"id":"a","method":"m","params":{"x": 1}}', "a", b'{"x": 1}'),
        (b'{"jsonrpc":"2.0","id":-1,"method":"m","trace":{}}', -1, None),
        (b' {"method":"m","id":"","params": null }\n', "", b"null"),
        (b'{"id":0,"method":"m","result":1}', 0, None),
        (b'{"id":1,"id":2,"method":"x","method":"m"}', 2, None),
        (b'{"id":"\\ud83d\\ude00","method":"m"}', "\N{GRINNING FACE}", None),
    ],
)
def test_a_request_is_read_with_its_params_as_bytes(
    payload: bytes, message_id: object, params: bytes | None
) -> None:
    """Unknown members are ignored, of two equal ones the last counts, and the params are not touched."""
    message = parse_message(payload)
    assert isinstance(message, Request)
    assert (message.method, message.id) == ("m", message_id)
    assert (None if isinstance(message.params, msgspec.UnsetType) else bytes(message.params)) == params


def answered_id(message: object) -> object:
    """Give the id that an answer answers."""
    assert isinstance(message, Response)
    return message.id


def test_a_request_without_an_id_is_a_notification() -> None:
    """Its id is UNSET, which is not null."""
    message = parse_message(b'{"method":"initialized"}')
    assert isinstance(message, Request)
    assert message.id is msgspec.UNSET


@pytest.mark.parametrize("payload", [b'{"id":7,"result":null}', b'{"id":7,"error":{"code":1,"message":""}}'])
def test_an_answer_is_read(payload: bytes) -> None:
    """A client's answer has an id, and a result or an error."""
    assert answered_id(parse_message(payload)) == 7


@pytest.mark.parametrize("payload", [b'{"id":null,"error":{"code":-32700,"message":""}}', b'{"error":{}}'])
def test_a_complaint_is_not_complained_about(payload: bytes) -> None:
    """An error about a message that could not be read has no id; answering it could go on for ever."""
    assert answered_id(parse_message(payload)) is None


@pytest.mark.parametrize(
    ("payload", "message_id", "text"),
    [
        (b"[]", None, NOT_AN_OBJECT),
        (b'[{"id":1,"method":"m"}]', None, NOT_AN_OBJECT),
        (b"1", None, NOT_AN_OBJECT),
        (b"null", None, NOT_AN_OBJECT),
        (b'"text"', None, NOT_AN_OBJECT),
        (b"{}", None, NO_METHOD),
        (b'{"id":1}', 1, NO_METHOD),
        (b'{"id":"a","params":{}}', "a", NO_METHOD),
        (b'{"id":1,"method":5}', 1, BAD_METHOD),
        (b'{"id":1,"method":null}', 1, BAD_METHOD),
        (b'{"method":5}', None, BAD_METHOD),
        (b'{"id":null,"method":"m"}', None, BAD_ID),
        (b'{"id":1.5,"method":"m"}', None, BAD_ID),
        (b'{"id":1.0,"method":"m"}', None, BAD_ID),
        (b'{"id":1e400,"method":"m"}', None, BAD_ID),
        (b'{"id":true,"method":"m"}', None, BAD_ID),
        (b'{"id":[1],"method":"m"}', None, BAD_ID),
        (b'{"id":{},"method":5}', None, BAD_ID),
        (b'{"id":%b,"method":"m"}' % (b"9" * 5000), None, BAD_ID),
        (b'{"id":3,"method":5,"params":{"x":1e400,"y":%b}}' % (b"9" * 5000), 3, BAD_METHOD),
    ],
)
def test_json_that_is_no_message_says_why(payload: bytes, message_id: object, text: str) -> None:
    """It is answered with -32600, under its own id if that can be read."""
    assert malformed(payload) == (message_id, -32600, text)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"not json",
        b'{"id":1',
        b'{"id":1} {}',
        b"{'id':1}",
        b"\xef\xbb\xbf{}",
        b'{"id":NaN,"method":"m"}',
        b'{"id":01,"method":"m"}',
        b'{"id":"\xff","method":"m"}',
        b'{"id":"\\ud800","method":"m"}',
        b'{"id":"\xc3\xa9","method":"m","params":"\xff"}',
        b'{"id":"\\ud800","method":"m","params":"\xff"}',
        b'{"id":%b,"method":"m","params":"\xff"}' % (b"9" * 5000),
        b'{"id":1,"result":"\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda payload: repr(payload[:40]),
)
def test_what_is_no_json_is_a_parse_error(payload: bytes) -> None:
    """It is answered with -32700, and a null id where none can be told; that of an answer is not the client's."""
    assert parse_error(payload) is None


@pytest.mark.parametrize(
    ("payload", "message_id"),
    [
        (b'{"id":1,"method":"m","params":{"x":"\xff"}}', 1),
        (b'{"id":1,"method":"m","params":{"x":"\xed\xa0\x80"}}', 1),
        (b'{"id":1,"method":"m","params":{"x":"\\ud800"}}', 1),
        (b'{"id":1,"method":"m","params":{"x":"\\uDC00\\ud800"}}', 1),
        (b'{"id":1,"method":5,"params":{"x":"\\ud800"}}', 1),
        (b'{"method":"\xff","params":{"id":2},"id":"a"}', "a"),
        (b'{"method":"m","\\ud800":"\\\\ud800","id":"\\u00e9"}', "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        (b'{"id":1,"method":"m","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 1),
        (b'{"jsonrpc": "2.0", "id": "a", "method":"m","params":' + b"[" * 100_000, "a"),
        (b'{"id":1,"method":"m","params":{"x":01}}', 1),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_fault_elsewhere_takes_no_id_away(payload: bytes, message_id: object) -> None:
    """Whoever asked hears that it was not understood, wherever in the message the fault is."""
    assert parse_error(payload) == message_id


def parse_error(payload: bytes) -> object:
    """Parse what is no JSON, and give the id that its client is told."""
    message_id, code, text = malformed(payload)
    assert code == -32700
    assert text.startswith("Parse error: ")
    assert len(text) < 200
    return message_id


@given(st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_taken(payload: bytes) -> None:
    """Parsing never raises, and what is malformed can be answered."""
    message = parse_message(payload)
    if isinstance(message, Malformed):
        assert json.loads(render_error(message.id, message.error))["error"]["code"] in (-32700, -32600)


@given(JSON | st.dictionaries(st.sampled_from(["id", "method", "params", "result", "error"]), JSON))
def test_any_json_is_taken(value: Any) -> None:
    """Parsing never raises; a good id is given back exactly, whatever else is wrong, and a bad one never is."""
    message = parse_message(json.dumps(value).encode())
    members = value if isinstance(value, dict) else {}
    given_id = members.get("id")
    if isinstance(given_id, int | str) and not isinstance(given_id, bool):
        assert message.id == given_id
        assert type(message.id) is type(given_id)
    else:
        assert message.id in (None, msgspec.UNSET)


@given(IDS, JSON)
def test_an_answer_has_the_id_of_its_request(request_id: int | str, result: Any) -> None:
    """An id of any size or spelling survives the way in and out; the result stands beside it, and no `jsonrpc`."""
    message = parse_message(json.dumps({"id": request_id, "method": "m"}).encode())
    assert message.id == request_id
    assert isinstance(message, Request)
    answer = render_result(request_id, result)
    assert json.loads(answer) == {"id": request_id, "result": result}
    assert b"\n" not in answer
    assert answered_id(parse_message(answer)) == request_id


@pytest.mark.parametrize(
    ("error", "code"),
    [(ParseError, -32700), (InvalidRequest, -32600), (Overloaded, -32001), (RequestFailed, -32603)],
)
def test_an_error_is_written_with_its_code(error: type[RequestError], code: int) -> None:
    """The class of the exception chooses the code; there is no `data` that nobody has filled."""
    answer = render_error("a", error("no"))
    assert json.loads(answer) == {"id": "a", "error": {"code": code, "message": "no"}}
    assert answered_id(parse_message(answer)) == "a"
    assert json.loads(render_error(None, error("no")))["id"] is None


def test_a_notification_is_stamped() -> None:
    """Beside method and params stands the time of sending, in Unix milliseconds."""
    notification = render_notification("account/updated", {"x": None}, 1_700_000_000_123)
    assert json.loads(notification) == {
        "method": "account/updated",
        "params": {"x": None},
        "emittedAtMs": 1_700_000_000_123,
    }


def test_what_names_a_file_can_be_written_whatever_its_name() -> None:
    """Bytes of a name that are no UTF-8 are replaced, deep in an answer, in an error and in a notification."""
    name = os.fsdecode(b"/x\xff/\xc3\xa4.json")
    store = ReadStoreResponse("file", name, f"cannot read {name}")
    answers = [
        render_result(1, {"deep": [(store, 1, None)]}),
        render_error(1, RequestFailed(f"cannot read {name}")),
        render_notification("account/login/completed", AccountLoginCompleted(None, False, name), 0),
        render_request(1, "m", {"name": name}),
    ]
    told = {"kind": "file", "location": "/x\ufffd/ä.json", "note": "cannot read /x\ufffd/ä.json"}
    assert [json.loads(answer.decode()) for answer in answers] == [
        {"id": 1, "result": {"deep": [[told, 1, None]]}},
        {"id": 1, "error": {"code": -32603, "message": "cannot read /x\ufffd/ä.json"}},
        {
            "method": "account/login/completed",
            "params": {"loginId": None, "success": False, "error": "/x\ufffd/ä.json", "onboardingEntrypoint": None},
            "emittedAtMs": 0,
        },
        {"method": "m", "id": 1, "params": {"name": "/x\ufffd/ä.json"}},
    ]


def test_no_error_and_no_notification_has_a_secret() -> None:
    """The last line of defence stands here; what a client is meant to have, it gets by an answer."""
    token = "0123456789abcdef0123"
    words = f"Illegal header value b'Bearer {token}'"
    error = render_error(1, RequestFailed(words))
    notification = render_notification("account/login/completed", AccountLoginCompleted(None, False, words), 0)
    assert json.loads(error)["error"]["message"] == "Illegal header value b'Bearer ...'"
    assert json.loads(notification)["params"]["error"] == "Illegal header value b'Bearer ...'"
    assert token.encode() in render_result(1, {"words": words})
