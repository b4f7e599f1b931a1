"""A sandbox with a clock of the test's, and a client of it."""

from __future__ import annotations

import pytest

from accountd.sandbox import Sandbox
from sandbox.caller import Caller, Clock


@pytest.fixture
def clock() -> Clock:
    """Give the clock by which codes and tokens expire."""
    return Clock()


@pytest.fixture
def caller(clock: Clock) -> Caller:
    """Give a client of a sandbox that has no script yet."""
    return Caller(Sandbox(now=clock))
