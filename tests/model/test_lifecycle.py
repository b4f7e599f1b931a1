"""The model, by some examples of its own choice, and at each moment at which everything could end."""

from __future__ import annotations

import pytest
from hypothesis import settings

from model.lifecycle import Lifecycle

TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=25)


@pytest.mark.parametrize("how", ["cancel", "log out", "key", "another", "external"])
@pytest.mark.parametrize("quarters", range(2, 12))
def test_a_change_of_mind_at_each_moment(quarters: int, how: str) -> None:
    """A login that is ended while it waits, is exchanged or stored: nothing of it is stored, or it is a success."""
    lifecycle = Lifecycle()
    lifecycle.begin(polite=True)
    lifecycle.change_ones_mind(quarters, how)
    lifecycle.wait(10.0)
    lifecycle.teardown()


@pytest.mark.parametrize("polite", [True, False])
@pytest.mark.parametrize("quarters", range(2, 12))
def test_an_end_of_the_daemon_at_each_moment(quarters: int, polite: bool) -> None:
    """So it is when the daemon ends, at the first signal or the second: what is being stored is seen through."""
    lifecycle = Lifecycle()
    lifecycle.begin(polite=polite)
    lifecycle.approve(fresh=True, slow=True, seconds=quarters / 4)
    lifecycle.teardown()
