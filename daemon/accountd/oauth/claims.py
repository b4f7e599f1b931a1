"""The claims of what may be a JWT, as an access token is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.oauth.tokens import Claims, MalformedToken, parse_claims

if TYPE_CHECKING:
    from accountd.secret import Secret

__all__ = ["Claims", "read_claims"]


def read_claims(jwt: Secret) -> Claims | None:
    """Read the claims; None for a token that cannot be read."""
    try:
        return parse_claims(jwt)
    except MalformedToken:
        return None
