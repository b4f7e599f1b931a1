"""The states of one login."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.login.lifecycle import MOVES, Login, State
from accountd.protocol.account import DeviceCodeLoginStarted

if TYPE_CHECKING:
    from accountd.errors import AccountdError
    from accountd.login.flow import Granted, Retrying


class NobodysAttempt:
    """An attempt that nothing is asked of."""

    lifetime = 60.0

    def started(self, login_id: str) -> DeviceCodeLoginStarted:
        """See Attempt."""
        return DeviceCodeLoginStarted(login_id, "http://127.0.0.1/codex/device", "AAAA-BBBB")

    async def wait_approval(self, retrying: Retrying) -> None:
        """See Attempt."""
        raise NotImplementedError

    async def exchange(self, approval: None) -> Granted:
        """See Attempt."""
        raise NotImplementedError

    def submit_callback(self, url: str) -> None:
        """See Attempt."""
        raise NotImplementedError

    def conclude(self, error: AccountdError | None) -> str | None:
        """See Attempt."""
        raise NotImplementedError


ENDS = {State.COMPLETED, State.FAILED, State.CANCELLED}


def test_every_state_has_its_moves_and_only_the_ends_have_none() -> None:
    """The table names every state, and a login stops moving exactly where it has ended."""
    assert set(MOVES) == set(State)
    assert {state for state, moves in MOVES.items() if not moves} == ENDS


def test_a_commit_cannot_be_cancelled() -> None:
    """From the commit on there is no way to `cancelled`, so nobody can be promised that nothing is stored."""
    reachable, edge = set(), {State.COMMITTING}
    while edge:
        reachable |= edge
        edge = {move for state in edge for move in MOVES[state]} - reachable
    assert State.CANCELLED not in reachable


async def test_a_cancelled_login_does_not_move_again() -> None:
    """Cancelling takes effect at once, and a second cancellation is told that it changed nothing."""
    login = Login("an id", NobodysAttempt(), 1_800_000_000.0)
    assert login.cancel()
    assert not login.cancel()
    with pytest.raises(AssertionError, match="cancelled to exchanging"):
        login.move(State.EXCHANGING)


async def test_a_login_whose_answer_arrives_with_its_cancellation_stays_cancelled() -> None:
    """A task that was about to run when it was cancelled does not take its next step."""
    login = Login("an id", NobodysAttempt(), 1_800_000_000.0)
    with login.scope:
        login.cancel()
        await login.advance(State.EXCHANGING)
    assert login.scope.cancelled_caught
    assert login.state is State.CANCELLED


def test_its_repr_tells_where_it_is() -> None:
    """What a log or a debugger shows of a login is its id and its state."""
    assert repr(Login("an id", NobodysAttempt(), 1_800_000_000.0)) == "<Login an id waiting>"
