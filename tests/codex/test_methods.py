"""Which methods are the agent's, and what is said of them. `tests/peer` holds the list to the real app-server."""

from __future__ import annotations

import pytest

from accountd.codex.methods import is_of_the_agent, render_refusal
from accountd.protocol.methods import METHODS


@pytest.mark.parametrize(
    "method", ["thread/start", "fuzzyFileSearch", "fuzzyFileSearch/sessionStart", "account/gcp/setup", "turn/a/b/c"]
)
def test_a_member_of_a_family_is_the_agents(method: str) -> None:
    """The name of a family, and whatever is below it, though no release has it yet."""
    assert is_of_the_agent(method)


@pytest.mark.parametrize(
    "method",
    ["threads/start", "thread/", "/thread", "Thread/start", "account/gc", "thread/start\n", "thread/é", ""],
)
def test_what_only_looks_like_one_is_not(method: str) -> None:
    """A name counts as a whole, and what is no name of a method is nobody's."""
    assert not is_of_the_agent(method)


def test_no_method_of_ours_is_the_agents() -> None:
    """What is in the table is answered."""
    assert not [method for method in METHODS if is_of_the_agent(method)]


def test_the_refusal_says_who_has_the_method() -> None:
    """One line: what this server is, what it is not, and what to run."""
    assert render_refusal("thread/start") == (
        "accountd does not serve `thread/start`: it owns account logins, and is not the Codex agent. "
        "Run `codex app-server` for it."
    )
