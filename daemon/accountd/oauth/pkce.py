"""Proof Key for Code Exchange (RFC 7636) and the `state` of an authorization request, from the system's randomness.

Only S256: a plain challenge would show the verifier to whoever sees the authorize URL (RFC 9700 section 2.1.1).
"""

from __future__ import annotations

import base64
import hashlib
import secrets

import msgspec

from accountd.secret import Secret


class Pkce(msgspec.Struct, frozen=True):
    """The two halves for one login: the verifier stays here until the exchange, the challenge goes ahead."""

    verifier: Secret
    challenge: str


def make_pkce() -> Pkce:
    """Make a fresh pair. The verifier is 64 random bytes in 86 characters (RFC 7636 section 4.1: 43 to 128)."""
    verifier = Secret(secrets.token_urlsafe(64))
    return Pkce(verifier, challenge_of(verifier))


def challenge_of(verifier: Secret) -> str:
    """Derive the S256 challenge: SHA-256 in base64url without padding (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.reveal().encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def make_state() -> Secret:
    """Make a fresh `state`: 32 random bytes in base64url without padding (RFC 6749 section 10.12)."""
    return Secret(secrets.token_urlsafe(32))
