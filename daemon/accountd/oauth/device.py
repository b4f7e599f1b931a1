"""The device-code flow as a machine without I/O: answers and the time go in, waits and verdicts come out.

RFC 8628 is the model; the issuer differs from it: 403 and 404 mean "pending", the interval
is a decimal string, and the PKCE verifier comes with the code. RFC 8628's own answers are understood as well.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from accountd.errors import LoginFailed, RemoteRefused, describe_status
from accountd.foreign_json import Undecodable, decode
from accountd.oauth.tokens import parse_oauth_error_code
from accountd.secret import Secret

LIFETIME: Final = 15 * 60.0
"""Seconds for which the issuer lets a person type the code. It does not say so itself; Codex knows it."""

DEFAULT_INTERVAL: Final = 5.0
"""Seconds between polls when the issuer names none (RFC 8628 section 3.2)."""

MIN_INTERVAL: Final = 0.1
"""An interval of nothing is taken for this: whatever the issuer says, polling is no busy loop."""

MAX_INTERVAL: Final = 60.0
"""An interval beyond this is taken for this: the person should not wait minutes after having approved."""

SLOW_DOWN: Final = 5.0
"""Seconds that each `slow_down` adds to the interval for good (RFC 8628 section 3.5)."""

NOT_ENABLED: Final = (
    "device code login is not enabled for this Codex server. Use the browser login or verify the server URL."
)
EXPIRED: Final = "device auth timed out after 15 minutes"

_MAX_START: Final = 4096  # bytes of an answer with a user code, which has two hundred
_MAX_APPROVAL: Final = 16 << 10  # of one with a code to exchange, which has some three hundred


class DeviceCode(msgspec.Struct, frozen=True):
    """What the issuer gave for one login: what the person types, and what we poll with."""

    device_auth_id: Secret
    user_code: str
    interval: float


class Approval(msgspec.Struct, frozen=True):
    """The person approved: an authorization code, and the verifier that the issuer made for it."""

    code: Secret
    verifier: Secret


class _StartAnswer(msgspec.Struct):
    device_auth_id: str
    user_code: str | None = None
    usercode: str | None = None
    interval: str | int | float | None = None


class _PollAnswer(msgspec.Struct):
    authorization_code: Annotated[str, msgspec.Meta(min_length=1)]
    code_verifier: Annotated[str, msgspec.Meta(min_length=1)]


def parse_start(status: int, body: bytes) -> DeviceCode:
    """Read the answer to the request for a user code. Raises RemoteRefused, with status 404 if not enabled."""
    if status == 404:
        raise RemoteRefused(NOT_ENABLED, status)
    if not 200 <= status < 300:
        raise RemoteRefused(f"device code request failed with status {describe_status(status)}", status)
    try:
        answer = decode(body, _StartAnswer, _MAX_START)
    except Undecodable:
        raise RemoteRefused("the issuer's answer is not a device code", 0) from None
    user_code = answer.user_code or answer.usercode
    if not user_code or not answer.device_auth_id:
        raise RemoteRefused("the issuer's answer lacks a user code", 0)
    return DeviceCode(Secret(answer.device_auth_id), user_code, _parse_interval(answer.interval))


def _parse_interval(value: str | float | None) -> float:
    try:
        seconds = DEFAULT_INTERVAL if value is None else float(value)
    except (ValueError, OverflowError):
        return DEFAULT_INTERVAL
    if not seconds >= 0:  # "nan" is neither
        return DEFAULT_INTERVAL
    return min(max(seconds, MIN_INTERVAL), MAX_INTERVAL)


class DeviceCodePolling:
    """When to ask next, and what an answer means. Times are seconds of any steady clock.

    Each answer is fed once, to `answer` or to `no_answer`; then `delay` says how long to wait. One last poll
    is made at the deadline, so an approval in the last interval still counts.
    """

    def __init__(self, code: DeviceCode, now: float) -> None:
        self.interval = code.interval
        self.deadline = now + LIFETIME
        self._failures = 0
        self._last_poll_made = False

    def delay(self, now: float) -> float:
        """Give the seconds until the next poll. Raises LoginFailed when no poll is left."""
        if self._last_poll_made:
            raise LoginFailed(EXPIRED)
        wait = _backoff(self.interval, self._failures) if self._failures else self.interval
        if now + wait >= self.deadline:
            self._last_poll_made = True
            wait = max(0.0, self.deadline - now)
        return wait

    def no_answer(self) -> None:
        """Note that the issuer was not reached: wait longer each time (RFC 8628 section 3.5), but go on."""
        self._failures += 1

    def answer(self, status: int, body: bytes) -> Approval | None:
        """Read one answer: the approval, None while the person has not decided, or LoginFailed."""
        self._failures = 0
        if 200 <= status < 300:
            return _parse_approval(body)
        match parse_oauth_error_code(body):
            case "slow_down":
                self.interval = min(self.interval + SLOW_DOWN, MAX_INTERVAL)
                return None
            case "authorization_pending":
                return None
            case "access_denied":
                raise LoginFailed("device auth was denied")
            case "expired_token":
                raise LoginFailed(EXPIRED)
        if status in (403, 404):
            return None
        raise LoginFailed(f"device auth failed with status {describe_status(status)}")


def _parse_approval(body: bytes) -> Approval:
    try:
        answer = decode(body, _PollAnswer, _MAX_APPROVAL)
    except Undecodable:
        raise LoginFailed("the issuer's answer to the device code could not be understood") from None
    return Approval(Secret(answer.authorization_code), Secret(answer.code_verifier))


def _backoff(interval: float, failures: int) -> float:
    """Double the wait with each failure in a row, from at least a second up to half a minute."""
    return min(max(interval, 1.0) * 2.0 ** min(failures - 1, 10), max(30.0, interval))
