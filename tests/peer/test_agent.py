"""The agent's methods, held to the real app-server's list of all that it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.codex.methods import FAMILIES, is_of_the_agent
from accountd.protocol.methods import METHODS

if TYPE_CHECKING:
    from compat.peers import Peer

pytestmark = pytest.mark.timeout(600)  # the first of these tests fetches the app-server


def test_every_method_is_answered_or_known_for_the_agents(peer: Peer) -> None:
    """Each of the schema, and each of its own list, is one or the other, and none is both."""
    methods = {*peer.envelope("ClientRequest"), *peer.methods}
    assert len(methods) > 150
    ours = {name for name, method in METHODS.items() if not method.extension}
    assert ours < methods
    assert {name for name in methods if is_of_the_agent(name)} == methods - ours


def test_every_family_has_a_member(peer: Peer) -> None:
    """Nothing is taken for the agent's that it never had."""
    for family in FAMILIES:
        assert any(method == family or method.startswith(f"{family}/") for method in peer.methods), family
