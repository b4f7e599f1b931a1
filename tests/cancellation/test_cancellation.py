"""Each operation, with each thing that can happen in its middle. `make cancellation` tries them after each step."""

from __future__ import annotations

import itertools

import pytest

from cancellation.operations import ENDS, OPERATIONS
from cancellation.trial import Trial

LONG = {"a connection of lines": 97, "a WebSocket": 113, "a stop": 103}
SHORT = 17
"""Steps between two trials; where the first is, differs from one happening to the next."""


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_happens_in_the_middle_of_an_operation(operation: str) -> None:
    """What clients hear is true, what is stored is whole, nothing is left, and the next daemon goes on so."""
    stride = LONG.get(operation, SHORT)
    for number, happening in enumerate(OPERATIONS[operation].happenings):
        for steps in itertools.count(1 + 4 * number % stride, stride):
            if not Trial(operation, ((happening, steps),)).run().struck:
                break


@pytest.mark.parametrize("operation", ["a login with a key", "a switch"])
@pytest.mark.parametrize("happening", ENDS)
def test_an_end_after_each_step_of_a_commit(operation: str, happening: str) -> None:
    """What is being stored is seen through, whoever wanted it and whatever ends: here after each step there is."""
    for steps in itertools.count(1):
        if not Trial(operation, ((happening, steps),)).run().struck:
            break
