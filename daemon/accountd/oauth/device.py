"""The device-code flow as a machine without I/O: answers and the time go in, waits and verdicts come out.

RFC 8628 is the model; the issuer differs from it: 403 and 404 mean "pending", the interval
is a decimal string, and the PKCE verifier comes with the code. RFC 8628's own answers are understood as well.

Only what the issuer has decided ends a login: the person may have approved already, behind whatever is in trouble.
So an issuer that is not reached or is overloaded, and a page of a proxy, of a portal or of a guard in the place of
its answer, are told, and polled through until the deadline.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from accountd.errors import LoginDenied, LoginFailed, LoginTimedOut, RemoteRefused, describe_status
from accountd.foreign_json import Undecodable, decode
from accountd.oauth.tokens import describe_page, find_words, parse_oauth_error_code
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
EXPIRED: Final = f"device auth timed out after {LIFETIME / 60:.0f} minutes"
EXPIRED_THERE: Final = "device auth timed out: the issuer has let the code expire"

_OVERLOAD: Final = 429  # which asks for what `slow_down` does, whatever else it says (RFC 6585 section 4)
_PASSING: Final = frozenset((408, 425, _OVERLOAD, *range(300, 400), *range(500, 600)))
"""Statuses of those who are in trouble, or in between: a redirect is a portal's, for the issuer has one place."""

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
        text = f"device code request failed with status {describe_status(status)}"
        words = find_words(body) or describe_page(body)
        raise RemoteRefused(f"{text}: {words}" if words else text, status)
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
    is made at the deadline, so an approval in the last interval still counts. `retries` counts the polls in a row
    that told nothing of the person, and `trouble` says why the last one did not; 0 and None where it did.
    """

    def __init__(self, code: DeviceCode, now: float) -> None:
        self.interval = code.interval
        self.deadline = now + LIFETIME
        self.retries = 0
        self.trouble: str | None = None
        self._last_poll_made = False

    def delay(self, now: float) -> float:
        """Return the seconds until the next poll. Raises LoginTimedOut when no poll is left."""
        if self._last_poll_made:
            raise LoginTimedOut(EXPIRED if self.trouble is None else f"{EXPIRED}; {self.trouble}")
        wait = _backoff(self.interval, self.retries) if self.retries else self.interval
        if now + wait >= self.deadline:
            self._last_poll_made = True
            wait = max(0.0, self.deadline - now)
        return wait

    def no_answer(self, trouble: str) -> None:
        """Note why the issuer told nothing: wait longer each time (RFC 8628 section 3.5), but go on."""
        self.retries += 1
        self.trouble = trouble

    def answer(self, status: int, body: bytes) -> Approval | None:
        """Read one answer: the approval, None while there is none, or LoginFailed."""
        code, page = parse_oauth_error_code(body), describe_page(body)
        if code == "slow_down" or status == _OVERLOAD:
            self.interval = min(self.interval + SLOW_DOWN, MAX_INTERVAL)
        if 200 <= status < 300:
            if (approval := _read_approval(body)) is not None:
                return approval
            self.no_answer(f"the issuer's answer is {page or 'not understood'}")
            return None
        match code:
            case "access_denied":
                raise LoginDenied("device auth was denied")
            case "expired_token":
                raise LoginTimedOut(EXPIRED_THERE)
        pending = code in ("authorization_pending", "slow_down") or (status in (403, 404) and page is None)
        if pending:
            self.retries, self.trouble = 0, None
            return None
        words = page or find_words(body)
        told = describe_status(status) + (f": {words}" if words else "")
        if page is None and status not in _PASSING:
            raise LoginFailed(f"device auth failed with status {told}")
        self.no_answer(f"the issuer answers {told}")
        return None


def _read_approval(body: bytes) -> Approval | None:
    try:
        answer = decode(body, _PollAnswer, _MAX_APPROVAL)
    except Undecodable:
        return None
    return Approval(Secret(answer.authorization_code), Secret(answer.code_verifier))


def _backoff(interval: float, failures: int) -> float:
    """Double the wait with each failure in a row, from at least a second up to half a minute."""
    return min(max(interval, 1.0) * 2.0 ** min(failures - 1, 10), max(30.0, interval))
