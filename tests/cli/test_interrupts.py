"""Signals, and wakes from another thread, on the one socket that ends a wait."""

from __future__ import annotations

import signal

import pytest

from accountd.cli.interrupts import Interrupts


def test_a_wake_is_no_signal() -> None:
    """`take_wake` resets a wake, and says when there was none."""
    with Interrupts() as interrupts:
        assert not interrupts.take_wake()
        interrupts.wake()
        assert interrupts.take_wake()
        assert not interrupts.take_wake()
        with pytest.raises(BlockingIOError):
            interrupts.take()


def test_a_signal_goes_before_a_wake() -> None:
    """When both came, in whichever order, there is no wake, and `take` gives the signal."""
    with Interrupts() as interrupts:
        interrupts.wake()
        signal.raise_signal(signal.SIGTERM)
        interrupts.wake()
        assert not interrupts.take_wake()
        assert interrupts.take() == signal.SIGTERM
        assert not interrupts.take_wake()
