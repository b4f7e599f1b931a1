"""Whether a refresh gave tokens of the login that it was made for: of the same person, for the same workspace.

A refresh token is that of a login, and after a switch of workspaces by stock Codex, which leaves it as it is, the
issuer may answer with tokens for the workspace where that login was made. With the account id of the other one they
would be neither's. So they are a failure, and the access token that there is is used to its end. The refresh token
beside them is kept if they are the same person's: the old one is spent, and the new one is of the same login. Of
somebody else's tokens nothing is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accountd.oauth.claims import Claims, read_claims

if TYPE_CHECKING:
    from accountd.oauth.refresh import Refreshed
    from accountd.secret import Secret
    from accountd.storage.base import ChatgptLogin


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


def _read(token: Secret | None) -> Claims:
    """Read the claims; of a token that is not there, or cannot be read, none."""
    return (token and read_claims(token)) or Claims(email=None, plan="unknown", user_id=None, account_id=None)
