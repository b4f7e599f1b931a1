"""PKCE and state: the numbers of RFC 7636, and that nothing is made twice."""

from __future__ import annotations

import re

import pytest

from accountd.oauth.pkce import Pkce, challenge_of, make_pkce, make_state
from accountd.secret import Secret

BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


def test_the_rfc_s_own_example_holds() -> None:
    """The verifier of RFC 7636 appendix B gives the challenge of RFC 7636 appendix B."""
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_pair_belongs_together() -> None:
    """The verifier is 86 unreserved characters, the challenge 43, and the one is derived from the other."""
    pkce = make_pkce()
    assert len(pkce.verifier.reveal()) == 86
    assert BASE64URL.fullmatch(pkce.verifier.reveal())
    assert len(pkce.challenge) == 43
    assert BASE64URL.fullmatch(pkce.challenge)
    assert pkce.challenge == challenge_of(pkce.verifier)


def test_a_state_is_32_bytes() -> None:
    """A state is 32 bytes in base64url, without the padding that would have to be escaped in a URL."""
    state = make_state().reveal()
    assert len(state) == 43
    assert BASE64URL.fullmatch(state)


def test_nothing_is_made_twice() -> None:
    """Each login has a verifier and a state of its own."""
    assert len({make_pkce().verifier for _ in range(100)}) == 100
    assert len({make_state() for _ in range(100)}) == 100


def test_a_pair_does_not_show_its_verifier() -> None:
    """Neither the repr of a pair nor an attempt to change it gives anything away."""
    pkce = make_pkce()
    assert pkce.verifier.reveal() not in repr(pkce)
    with pytest.raises(AttributeError):
        pkce.challenge = "other"  # type: ignore[misc]  # that it is frozen is the fact
    assert Pkce(pkce.verifier, pkce.challenge) == pkce
