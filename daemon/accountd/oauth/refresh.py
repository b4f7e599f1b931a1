"""Refreshing tokens as values: when one is due, and what the issuer's answer means.

A refresh token is good once. So there are three outcomes and no fourth: new tokens; a refusal that no second
try can change; or a failure after which the old token is as good as before, as far as we know: if only the
answer was lost, it is spent, and the next try is refused. Where an answer came that cannot be used, the refresh
token in it is kept, and is the one for the next try.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from accountd.errors import RefreshFailed, RefreshRefused, describe_status
from accountd.foreign_json import ABSENT, Undecodable, decode, read_member
from accountd.oauth.fields import Uncarried, check_token
from accountd.oauth.tokens import describe_oauth_error, parse_oauth_error_code
from accountd.secret import Secret

Reason = Literal["forced", "proactive_expiry", "unauthorized_recovery"]

MARGIN: Final = 5 * 60.0
"""Seconds before its expiry at which an access token is no longer handed out without a try to refresh it."""

MAX_AGE: Final = 8 * 86_400.0
"""Seconds since the last refresh after which a token that does not say when it expires is refreshed."""

_CANNOT: Final = "Your access token could not be refreshed"
_AGAIN: Final = "Please log out and sign in again."
_REFUSALS: Final = {
    "refresh_token_expired": f"{_CANNOT} because your refresh token has expired. {_AGAIN}",
    "refresh_token_reused": f"{_CANNOT} because your refresh token was already used. {_AGAIN}",
    "refresh_token_invalidated": f"{_CANNOT} because your refresh token was revoked. {_AGAIN}",
}


NO_REFRESH_TOKEN: Final = f"{_CANNOT} because there is no refresh token. {_AGAIN}"


class Refreshed(msgspec.Struct, frozen=True):
    """What the issuer gave. What it left out stays as it was."""

    id_token: Secret | None = None
    access_token: Secret | None = None
    refresh_token: Secret | None = None


class _Answer(msgspec.Struct):
    id_token: msgspec.Raw = ABSENT
    access_token: msgspec.Raw = ABSENT
    refresh_token: msgspec.Raw = ABSENT


def find_due_time(expires_at: float | None, last_refresh: str | None) -> float | None:
    """Return when a refresh is due, in Unix seconds; None if nothing is known by which it could be.

    Five minutes before the access token's own expiry; a token without one, or that is no JWT, is due eight days
    after its last refresh.
    """
    if expires_at is not None:
        return expires_at - MARGIN
    if last_refresh is None:
        return None
    try:
        return datetime.fromisoformat(last_refresh).timestamp() + MAX_AGE
    except (ValueError, OverflowError, OSError):  # of a year that the system's clock cannot have, too
        return None


def parse_refresh_response(status: int, body: bytes) -> Refreshed:
    """Read the answer to a refresh. Raises RefreshRefused for good, RefreshFailed for now."""
    if 200 <= status < 300:
        try:
            answer = decode(body.decode("utf-8", "replace").encode(), _Answer)
        except Undecodable:
            raise RefreshFailed("the answer to the refresh could not be understood") from None
        refresh_token = _read_token("the refresh token", answer.refresh_token)
        access_token = _read_token("the access token", answer.access_token, rotated=refresh_token)
        return Refreshed(Secret(read_member(answer.id_token, str) or "") or None, access_token, refresh_token)
    code = parse_oauth_error_code(body)
    if code in _REFUSALS:
        raise RefreshRefused(_REFUSALS[code], code)
    if status == 401 or (status == 400 and code == "invalid_grant"):
        raise RefreshRefused(f"{_CANNOT}. {_AGAIN}", code)
    raise RefreshFailed(f"Failed to refresh token: {describe_status(status)}: {describe_oauth_error(body)}")


def _read_token(name: str, member: msgspec.Raw, rotated: Secret | None = None) -> Secret | None:
    """Read a token, which may be left out. Raises RefreshFailed, with the refresh token that came beside it.

    Whatever else is wrong with an answer, that one has taken the place of the one that was sent.
    """
    text = read_member(member, str)
    if text is None and member != ABSENT:
        raise RefreshFailed(f"what the issuer gave cannot be used: {name} is no text", rotated)
    token = Secret(text or "")
    try:
        check_token(name, token)
    except Uncarried as error:
        raise RefreshFailed(f"what the issuer gave cannot be used: {error}", rotated) from None
    return token or None
