"""The device-code machine, with plain numbers for the clock."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import LoginFailed, RemoteRefused
from accountd.oauth.device import (
    DEFAULT_INTERVAL,
    EXPIRED,
    EXPIRED_THERE,
    LIFETIME,
    MAX_INTERVAL,
    MIN_INTERVAL,
    NOT_ENABLED,
    SLOW_DOWN,
    Approval,
    DeviceCode,
    DeviceCodePolling,
    parse_start,
)
from accountd.secret import Secret

CANARY = "canary-5f0c"
APPROVED = b'{"authorization_code":"ac","code_challenge":"cc","code_verifier":"cv"}'
PENDING = (403, b"{}")
CHALLENGE = '403 Forbidden: a page with the title "Wait"'
UNCLEAR = "the issuer's answer is not understood"


def start_answer(**changes: object) -> bytes:
    """Write an issuer's answer to the request for a code; None leaves a member out."""
    answer = {"device_auth_id": "dev-1", "user_code": "CODE-1", "interval": "5", **changes}
    return json.dumps({name: value for name, value in answer.items() if value is not None}).encode()


def polling(interval: float = 5.0) -> DeviceCodePolling:
    """Begin at the time 1000."""
    return DeviceCodePolling(DeviceCode(Secret("dev-1"), "CODE-1", interval), now=1000.0)


# The start


def test_a_code_is_read() -> None:
    """What the person types is text, what we poll with is a secret."""
    code = parse_start(200, start_answer())
    assert code == DeviceCode(Secret("dev-1"), "CODE-1", 5.0)
    assert "dev-1" not in repr(code)


@pytest.mark.parametrize(
    ("answer", "user_code"),
    [
        (start_answer(user_code=None, usercode="ALIAS-1"), "ALIAS-1"),
        (start_answer(usercode="ALIAS-1"), "CODE-1"),
        (start_answer(user_code="", usercode="ALIAS-1"), "ALIAS-1"),
        (start_answer(unknown=[1]), "CODE-1"),
    ],
)
def test_the_user_code_has_an_alias(answer: bytes, user_code: str) -> None:
    """`usercode` is read where there is no `user_code`; unknown members are ignored."""
    assert parse_start(200, answer).user_code == user_code


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        ("5", 5.0),
        (" 7 ", 7.0),
        ("2.5", 2.5),
        (5, 5.0),
        (0.5, 0.5),
        (None, DEFAULT_INTERVAL),
        ("", DEFAULT_INTERVAL),
        ("soon", DEFAULT_INTERVAL),
        ("nan", DEFAULT_INTERVAL),
        ("-1", DEFAULT_INTERVAL),
        (-1, DEFAULT_INTERVAL),
        ("-inf", DEFAULT_INTERVAL),
        (10**400, DEFAULT_INTERVAL),
        ("0", MIN_INTERVAL),
        (0, MIN_INTERVAL),
        ("inf", MAX_INTERVAL),
        ("1e400", MAX_INTERVAL),
        (86400, MAX_INTERVAL),
    ],
)
def test_the_interval_has_many_forms(interval: object, seconds: float) -> None:
    """A decimal string or a number, within bounds; what is neither is taken for RFC 8628's default."""
    assert parse_start(200, start_answer(interval=interval)).interval == seconds


@pytest.mark.parametrize(
    ("status", "body", "text", "reported"),
    [
        (404, b"", NOT_ENABLED, 404),
        (403, b"{}", "device code request failed with status 403 Forbidden", 403),
        (500, b"{}", "device code request failed with status 500 Internal Server Error", 500),
        (302, b"", "device code request failed with status 302 Found", 302),
        (429, b'{"detail":"slower"}', "device code request failed with status 429 Too Many Requests: slower", 429),
        (403, b"<TITLE>Wait</TITLE>", f"device code request failed with status {CHALLENGE}", 403),
        (200, b"", "the issuer's answer is not a device code", 0),
        (200, b"[]", "the issuer's answer is not a device code", 0),
        (200, b"\xff", "the issuer's answer is not a device code", 0),
        (200, b'{"device_auth_id":"\xff"}', "the issuer's answer is not a device code", 0),
        (200, b'{"x":' * 100_000, "the issuer's answer is not a device code", 0),
        (200, start_answer(device_auth_id=None), "the issuer's answer is not a device code", 0),
        (200, start_answer(device_auth_id=5), "the issuer's answer is not a device code", 0),
        (200, start_answer(interval=["5"]), "the issuer's answer is not a device code", 0),
        (200, start_answer(interval=True), "the issuer's answer is not a device code", 0),
        (200, start_answer(device_auth_id=""), "the issuer's answer lacks a user code", 0),
        (200, start_answer(user_code=None), "the issuer's answer lacks a user code", 0),
        (200, start_answer(user_code=""), "the issuer's answer lacks a user code", 0),
    ],
)
def test_a_start_that_gives_no_code_is_refused(status: int, body: bytes, text: str, reported: int) -> None:
    """The texts are the recorded ones; the status is 0 where the answer was a success in name only."""
    with pytest.raises(RemoteRefused) as caught:
        parse_start(status, body)
    assert (str(caught.value), caught.value.status) == (text, reported)
    assert caught.value.__cause__ is None


# Answers


def test_an_approval_is_read() -> None:
    """The issuer gives an authorization code and the verifier to it; neither shows in text."""
    approval = polling().answer(200, APPROVED)
    assert approval == Approval(Secret("ac"), Secret("cv"))
    assert "ac" not in repr(approval).replace("Secret", "")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b""),
        (404, b""),
        (404, b'{"error":{"code":"deviceauth_authorization_unknown"}}'),
        (400, b'{"error":"authorization_pending"}'),
        (403, b'{"error":"AUTHORIZATION_PENDING"}'),
        (400, b'{"error":{"code":"authorization_pending","message":"wait"}}'),
        (428, b'{"code":"authorization_pending"}'),
    ],
)
def test_an_undecided_person_is_waited_for(status: int, body: bytes) -> None:
    """403 and 404 are the issuer's way to say so, RFC 8628's words are another; the interval stays."""
    machine = polling()
    assert machine.answer(status, body) is None
    assert machine.delay(1000.0) == 5.0


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":"slow_down"}'),
        (403, b'{"error":"slow_down"}'),
        (429, b'{"error":{"code":"slow_down"}}'),
        (429, b""),
    ],
)
def test_slow_down_adds_five_seconds_for_good(status: int, body: bytes) -> None:
    """Each one adds (RFC 8628 section 3.5), and a later answer takes nothing back; there is an upper bound."""
    machine = polling()
    assert machine.answer(status, body) is None
    assert machine.delay(1000.0) == 5.0 + SLOW_DOWN
    assert machine.answer(*PENDING) is None
    assert machine.delay(1000.0) == 10.0
    machine.answer(status, body)
    assert machine.delay(1000.0) == 15.0
    for _ in range(50):
        machine.answer(status, body)
    assert machine.delay(1000.0) == MAX_INTERVAL


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (400, b'{"error":"access_denied"}', "device auth was denied"),
        (403, b'{"error":{"code":"access_denied"}}', "device auth was denied"),
        (400, b'{"error":"expired_token"}', EXPIRED_THERE),
        (404, b'{"error":"expired_token"}', EXPIRED_THERE),
        (400, b'{"error":"invalid_grant"}', "device auth failed with status 400 Bad Request: invalid_grant"),
        (401, b"", "device auth failed with status 401 Unauthorized"),
        (410, b"", "device auth failed with status 410 Gone"),
    ],
)
def test_what_the_issuer_decides_ends_the_login(status: int, body: bytes, text: str) -> None:
    """The text is the recorded one, or the plainest that there is."""
    with pytest.raises(LoginFailed) as caught:
        polling().answer(status, body)
    assert str(caught.value) == text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (500, b"", "the issuer answers 500 Internal Server Error"),
        (503, b'{"detail":"busy"}', "the issuer answers 503 Service Unavailable: busy"),
        (408, b"", "the issuer answers 408 Request Timeout"),
        (425, b"", "the issuer answers 425 Too Early"),
        (429, b"", "the issuer answers 429 Too Many Requests"),
        (302, b"", "the issuer answers 302 Found"),
        (403, b"<title>Wait</title>", f"the issuer answers {CHALLENGE}"),
        (404, b"<html>", "the issuer answers 404 Not Found: a page without a title"),
        (401, b"<html>", "the issuer answers 401 Unauthorized: a page without a title"),
        (200, b"<html>", "the issuer's answer is a page without a title"),
        (200, b"", UNCLEAR),
        (200, b"\xff", UNCLEAR),
        (200, b"[" * 100_000, UNCLEAR),
        (200, b'{"authorization_code":"ac"}', UNCLEAR),
        (200, b'{"authorization_code":"","code_verifier":"x"}', UNCLEAR),
        (200, json.dumps({"authorization_code": CANARY, "code_verifier": [CANARY]}).encode(), UNCLEAR),
        (200, json.dumps({"authorization_code": "c" * (16 << 10), "code_verifier": "v"}).encode(), UNCLEAR),
    ],
)
def test_what_may_pass_is_polled_through_and_told(status: int, body: bytes, trouble: str) -> None:
    """Until the deadline, whose error names it; nothing of an answer is quoted but words and a title."""
    machine = polling()
    for retries in (1, 2):
        assert machine.answer(status, body) is None
        assert (machine.retries, machine.trouble) == (retries, trouble)
    assert machine.delay(1000.0) >= 10.0
    assert machine.delay(1900.0) == 0.0
    with pytest.raises(LoginFailed) as caught:
        machine.delay(1900.0)
    assert str(caught.value) == f"{EXPIRED}; {trouble}"
    assert machine.answer(*PENDING) is None
    assert (machine.retries, machine.trouble) == (0, None)
    assert machine.answer(200, APPROVED)


# Time


def test_the_first_poll_comes_after_one_interval() -> None:
    """Nobody types a code in no time."""
    assert polling().delay(1000.0) == 5.0


def test_an_issuer_that_is_not_reached_is_asked_less_and_less_often() -> None:
    """The wait doubles up to half a minute, and one answer of any kind brings it back."""
    machine = polling()
    waits = []
    for _ in range(6):
        machine.no_answer("down")
        waits.append(machine.delay(1000.0))
    assert waits == [5.0, 10.0, 20.0, 30.0, 30.0, 30.0]
    machine.answer(*PENDING)
    assert machine.delay(1000.0) == 5.0


@pytest.mark.parametrize(("interval", "waits"), [(0.1, [1.0, 2.0, 4.0]), (60.0, [60.0, 60.0, 60.0])])
def test_the_wait_after_a_failure_is_bounded_both_ways(interval: float, waits: list[float]) -> None:
    """At least a second, and never less than the issuer's own interval."""
    machine = polling(interval)
    for wait in waits:
        machine.no_answer("down")
        assert machine.delay(1000.0) == wait
    for _ in range(2000):
        machine.no_answer("down")
    assert machine.delay(1000.0) == max(30.0, interval)


@pytest.mark.parametrize(
    ("now", "wait"), [(1894.0, 5.0), (1895.0, 5.0), (1897.0, 3.0), (1900.0, 0.0), (2000.0, 0.0)]
)
def test_one_last_poll_is_made_at_the_deadline(now: float, wait: float) -> None:
    """An approval within the last interval counts; after that poll, fifteen minutes are over."""
    machine = polling()
    assert machine.delay(now) == wait
    machine.answer(*PENDING)
    if now == 1894.0:
        assert machine.delay(1899.0) == 1.0
        machine.no_answer("down")
    with pytest.raises(LoginFailed, match=f"^{EXPIRED}"):
        machine.delay(1900.0)


def test_the_last_poll_can_still_succeed() -> None:
    """The deadline does not look at answers."""
    machine = polling()
    machine.delay(1899.0)
    assert machine.answer(200, APPROVED) is not None


ANSWERS = st.sampled_from(
    [None, PENDING, (404, b""), (400, b'{"error":"slow_down"}'), (400, b'{"error":"authorization_pending"}')]
)


@given(st.floats(MIN_INTERVAL, MAX_INTERVAL), st.lists(st.tuples(ANSWERS, st.floats(0, 40)), max_size=60))
def test_polling_keeps_its_pace_and_its_end(
    interval: float, answers: list[tuple[tuple[int, bytes] | None, float]]
) -> None:
    """No wait but the last is shorter than the interval, no poll begins after the deadline unless one just ran."""
    machine = polling(interval)
    now, asked_for, polls = 1000.0, interval, 0
    for answer, took in [*answers, *[(PENDING, 0.0)] * 10_000]:
        try:
            wait = machine.delay(now)
        except LoginFailed:
            break
        is_last = now + wait >= 1000.0 + LIFETIME
        assert wait >= 0
        assert is_last or wait >= asked_for
        assert now + wait <= 1000.0 + LIFETIME or wait == 0
        now += wait + took
        polls += 1
        if answer is None:
            machine.no_answer("down")
            continue
        machine.answer(*answer)
        if b"slow_down" in answer[1]:
            asked_for = min(asked_for + SLOW_DOWN, MAX_INTERVAL)
    else:
        pytest.fail("polling never ended")
    assert polls <= LIFETIME / interval + 2


@given(st.integers(200, 599), st.binary(max_size=60))
def test_any_answer_is_a_verdict(status: int, body: bytes) -> None:
    """Nothing but LoginFailed comes out of an answer, and nothing but RemoteRefused out of a start."""
    with contextlib.suppress(LoginFailed):
        assert polling().answer(status, body) is None
    with contextlib.suppress(RemoteRefused):
        parse_start(status, body)
