"""Why an account's credential cannot be used, if it cannot: decided here, for every answer that tells it.

There are six stories, and each is an error of its own class, whose reason programs go by: nobody is logged in; what
is stored cannot be read; the policy does not permit it; the issuer has refused it for good; its token has expired,
and could not be refreshed; or the issuer could not be reached for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.errors import NotLoggedIn

if TYPE_CHECKING:
    from accountd.account.credential import Credential
    from accountd.errors import AccountdError


def find_fault(credential: Credential, now: float) -> AccountdError | None:
    """Give the error, or None for one that can be used. `now` is Unix time.

    A token that has expired and that nobody has tried to refresh is no fault: the next use refreshes it.
    """
    record, login = credential.current, credential.login
    if record is None or record.mode is None or (login is None and not record.api_key):
        return credential.objection or NotLoggedIn("nobody is logged in")
    if login is None:
        return None
    refusal, last = credential.find_refusal(login), credential.last_refresh
    has_expired = login.expires_at is not None and login.expires_at <= now and not credential.is_external
    if refusal is None and has_expired and last is not None and last.failure is not None:
        return last.failure(last.error)
    return refusal
