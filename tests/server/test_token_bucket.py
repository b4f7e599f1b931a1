"""The token bucket, which bounds how often guests may do something."""

from __future__ import annotations

import pytest

from accountd.server.token_bucket import TokenBucket


def test_it_holds_a_burst_and_fills_at_its_rate() -> None:
    """What is not taken is saved up to the burst, and no further."""
    bucket = TokenBucket(2, 3, 100)
    assert [bucket.take(100) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait(100) == pytest.approx(0.5)
    assert bucket.take(100.5)
    assert not bucket.take(100.5)
    assert [bucket.take(1000) for _ in range(4)] == [True, True, True, False]


def test_what_is_owed_comes_in_first() -> None:
    """More may be used than there is, by who waits afterwards."""
    bucket = TokenBucket(2, 3, 0)
    bucket.owe(7, 0)
    assert bucket.wait(0) == pytest.approx(2.5)
    assert not bucket.take(2.4)
    assert bucket.take(2.5)
