"""Targets: what the issuer answers, and what is in its tokens.

Whatever it says is read or refused in words of ours; a token that it gave is in no text.
"""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import datetime
from typing import Any, Final

from accountd.errors import AccountdError, LoginFailed, RefreshError, RefreshRefused, RemoteRefused
from accountd.oauth import device
from accountd.oauth.claims import MAX_CLAIMS, Claims, MalformedToken, parse_claims
from accountd.oauth.refresh import find_due_time, parse_refresh_response
from accountd.oauth.tokens import (
    describe_oauth_error,
    parse_api_key_response,
    parse_oauth_error_code,
    parse_token_response,
)
from accountd.secret import Secret
from fuzz.pieces import UNKNOWN, choose, read_json

_STATUSES: Final = (200, 201, 400, 401, 403, 404, 429, 500, 503, 299, 600, 0)
_EMPTY: Final = Secret("")
_LAST_MOMENT: Final = 253_402_300_799


def fuzz_claims(data: bytes) -> None:
    """Read a token, as it is or with the input as its payload; hold the payload to the standard library."""
    as_payload, text = choose(data, (False, True))
    token = Secret(_make_token(text) if as_payload else text.decode("latin-1"))
    try:
        claims = parse_claims(token)
    except MalformedToken as error:
        assert str(error) == "invalid ID token format" or "is longer than" in str(error)
        assert error.__suppress_context__ or error.__context__ is None
        assert not as_payload or not _is_object(text) or len(text) > MAX_CLAIMS
        return
    encoded = token.reveal().split(".")[1]
    assert re.fullmatch(r"[A-Za-z0-9_+/=-]+", encoded)
    payload = read_json(base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_"))
    if payload is not UNKNOWN:
        _check_claims(claims, payload)
    assert claims.expires_at is None or math.isfinite(claims.expires_at)
    assert (find_due_time(claims.expires_at, None) is None) == (claims.expires_at is None)


def _check_claims(claims: Claims, payload: dict[str, Any]) -> None:
    for claim, values in (
        (claims.email, (payload.get("email"), _inner(payload, "profile").get("email"))),
        (claims.account_id, (_inner(payload, "auth").get("chatgpt_account_id"),)),
        (claims.user_id, tuple(_inner(payload, "auth").get(key) for key in ("chatgpt_user_id", "user_id"))),
    ):
        assert claim == next((value for value in values if isinstance(value, str) and value), None)
    match payload.get("exp"):
        case bool():
            assert claims.expires_at is None
        case int() | float() as expiry if 0 <= expiry <= _LAST_MOMENT:
            assert claims.expires_at == expiry
        case _:
            assert claims.expires_at is None


def fuzz_last_refresh(data: bytes) -> None:
    """Read the time of the last refresh, that another program may have written, as RFC 3339 or as nothing."""
    text = data.decode("latin-1")
    due = find_due_time(None, text)
    assert due is None or math.isfinite(due)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return
    if moment.tzinfo is not None:
        assert due == moment.timestamp() + 8 * 86_400


def _make_token(payload: bytes) -> str:
    return f"h.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.s"


def _is_object(text: bytes) -> bool:
    try:
        value = read_json(text)
    except ValueError:
        return False
    return isinstance(value, dict)


def _inner(payload: dict[str, Any], name: str) -> dict[str, Any]:
    value = payload.get(f"https://api.openai.com/{name}")
    return value if isinstance(value, dict) else {}


def fuzz_device_start(data: bytes) -> None:
    """Read the answer to the request for a user code: a code and a decent interval, or RemoteRefused."""
    status, body = choose(data, _STATUSES)
    try:
        code = device.parse_start(status, body)
    except RemoteRefused as error:
        assert error.status == (0 if 200 <= status < 300 else status)
        _check_text(error)
        return
    assert 200 <= status < 300
    assert device.MIN_INTERVAL <= code.interval <= device.MAX_INTERVAL
    answer = _read_object(body)
    if answer is not None:
        assert code.user_code in (answer.get("user_code"), answer.get("usercode"))
        assert code.device_auth_id.reveal() == answer["device_auth_id"]
    assert code.user_code
    assert code.device_auth_id


def fuzz_device_polling(data: bytes) -> None:
    """Poll with one answer a line: it ends in time, waits decently, and says nothing that it was told in secret."""
    interval, rest = choose(data, (0.1, 1.0, 5.0, 60.0))
    polling = device.DeviceCodePolling(device.DeviceCode(_EMPTY, "CODE", interval), now=1000.0)
    now = 1000.0
    try:
        for line in rest.split(b"\n"):
            wait = polling.delay(now)
            assert 0 <= wait <= max(device.MAX_INTERVAL, 30.0)
            now += wait
            assert now <= polling.deadline
            if line.startswith(b"!"):
                polling.no_answer("down")
                continue
            status, body = choose(line, _STATUSES)
            approval = polling.answer(status, body)
            if approval is not None:
                assert 200 <= status < 300
                assert approval.code
                assert approval.verifier
                return
            assert interval <= polling.interval <= device.MAX_INTERVAL
    except LoginFailed as error:
        _check_text(error)


def fuzz_refresh(data: bytes) -> None:
    """Read the answer to a refresh: new tokens, a refusal for good, or a failure for now, and no fourth."""
    status, body = choose(data, _STATUSES)
    try:
        refreshed = parse_refresh_response(status, body)
    except RefreshError as error:
        assert not (200 <= status < 300 and isinstance(error, RefreshRefused))
        assert isinstance(error, RefreshRefused) or status != 401
        _check_text(error)
        return
    assert 200 <= status < 300
    answer = _read_object(body)
    for name in ("id_token", "access_token", "refresh_token"):
        token = getattr(refreshed, name)
        assert token is None or token
        if answer is not None:
            assert (token.reveal() if token is not None else None) == (answer.get(name) or None)
    assert "Secret(••••)" in repr(refreshed) or refreshed == type(refreshed)()


def fuzz_token_answer(data: bytes) -> None:
    """Read the answer to a code exchange, and to one for an API key: all tokens, or RemoteRefused."""
    status, body = choose(data, _STATUSES)
    answer = _read_object(body)
    try:
        tokens = parse_token_response(status, body)
        if answer is not None:
            assert (
                answer.items()
                >= {name: getattr(tokens, name).reveal() for name in tokens.__struct_fields__}.items()
            )
    except RemoteRefused as error:
        assert error.status == (0 if 200 <= status < 300 else status)
        _check_text(error)
    try:
        assert parse_api_key_response(status, body)
    except RemoteRefused as error:
        _check_text(error)
    words = describe_oauth_error(body)
    assert words
    assert len(words) <= 1000
    code = parse_oauth_error_code(body)
    assert code is None or (code and code == code.lower())


def _read_object(body: bytes) -> dict[str, Any] | None:
    """Read an answer by the standard library; None where that is no judge, or it is none."""
    try:
        value = read_json(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _check_text(error: AccountdError) -> None:
    """Have a text that can be sent on, and no cause that would quote the answer."""
    assert json.loads(json.dumps(str(error)))
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    str(error).encode()
