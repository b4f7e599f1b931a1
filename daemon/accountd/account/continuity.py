"""What a refresh gives is of the login that it was made for: the same person, in the workspace that is selected.

A refresh token is that of a login, and after a switch of workspaces, which leaves it as it is, the issuer may
answer with tokens for the workspace where that login was made. With the account id of the other one they would be
neither's. So the access token is exchanged for one of the selected workspace, before anybody sees it.

- If that fails for now, the access token that there is is used to its end. The refresh token is kept, since
  the old one is spent; the next refresh tries again.
- If it is refused, the person is not of that workspace any more. What came is stored and not used, as nothing is
  that is for another workspace than the account id beside it: nobody is logged in, and the reason is told.
- Of somebody else's tokens nothing is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from accountd.errors import RefreshFailed, RemoteError, RemoteRefused
from accountd.oauth.claims import Claims, MalformedToken, parse_claims, read_claims

if TYPE_CHECKING:
    from accountd.backend.client import Backend
    from accountd.oauth.refresh import Refreshed
    from accountd.secret import Secret
    from accountd.storage.base import ChatgptLogin

_MISMATCH: Final = "the issuer answered the refresh with tokens of {}, which are not used; log in again"
_NOT_YET: Final = "the issuer answered the refresh with tokens of another workspace, not exchanged yet: {}"

_REFUSALS: Final = frozenset((400, 403, 404, 409, 410, 422))
"""Statuses that say no for good, unless it is a page that says so: a proxy's, or of whoever guards the backend."""


class Mismatch(NamedTuple):
    """What is wrong with the tokens; and if they are still the same person's."""

    words: str
    is_same_person: bool


def find_mismatch(login: ChatgptLogin, refreshed: Refreshed) -> Mismatch | None:
    """Compare what the tokens say with what the login does. What either does not say is no mismatch."""
    access, identity = _read(refreshed.access_token), _read(refreshed.id_token)
    if login.user_id is not None and {access.user_id, identity.user_id} - {None, login.user_id}:
        return Mismatch("another person", is_same_person=False)
    workspace = login.account_id or login.claimed_account_id
    if workspace is not None and access.account_id not in (None, workspace):
        return Mismatch("another workspace", is_same_person=True)
    return None


class Continued(NamedTuple):
    """What is to be stored after a refresh; `failure` says why it cannot be used, if it cannot."""

    refreshed: Refreshed
    failure: RefreshFailed | None = None


async def continue_login(login: ChatgptLogin, refreshed: Refreshed, backend: Backend) -> Continued:
    """Hold what a refresh gave to the login, and exchange what is for another workspace.

    Raises RefreshFailed, with the refresh token if that is to be kept.
    """
    mismatch = find_mismatch(login, refreshed)
    if mismatch is None:
        return Continued(refreshed)
    failure = RefreshFailed(_MISMATCH.format(mismatch.words))
    if not mismatch.is_same_person:
        raise failure
    if refreshed.access_token is None or login.account_id is None:
        raise RefreshFailed(str(failure), refreshed.refresh_token)
    try:
        token = await exchange_token(backend, refreshed.access_token, login.user_id, login.account_id)
    except RemoteRefused as error:
        if error.status in _REFUSALS and not error.is_page:
            return Continued(refreshed, RefreshFailed(f"{failure}: {error}"))
        raise RefreshFailed(_NOT_YET.format(error), refreshed.refresh_token) from error
    except RemoteError as error:
        raise RefreshFailed(_NOT_YET.format(error), refreshed.refresh_token) from error
    return Continued(msgspec.structs.replace(refreshed, access_token=token))


async def exchange_token(
    backend: Backend, access_token: Secret, user_id: str | None, account_id: str, originator: str | None = None
) -> Secret:
    """Give a person's access token for a workspace, for one of theirs for any.

    Raises RemoteUnreachable, and RemoteRefused with Codex's words for it; the token that was given stays good.
    """
    token = await backend.exchange_token(access_token, account_id, originator)
    try:
        claims = parse_claims(token)
    except MalformedToken as error:
        raise RemoteRefused(str(error), 0) from None
    if (claims.user_id, claims.account_id) != (user_id, account_id):
        raise RemoteRefused("Workspace exchange returned a different user or workspace", 0)
    return token


def _read(token: Secret | None) -> Claims:
    """Read the claims; of a token that is not there, or cannot be read, none."""
    return (token and read_claims(token)) or Claims(email=None, plan="unknown", user_id=None, account_id=None)
