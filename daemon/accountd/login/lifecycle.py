"""One login's life, as data: its states, and the moves between them that are legal.

    waiting ──▶ exchanging ──▶ committing ──▶ completed
       │            │               │
       ├────────────┼───────────────┴──▶ failed
       └────────────┴──▶ cancelled

`committing` is the point of no return: from there a cancellation comes too late, and is told so.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

import trio

from accountd.login.intent import USUAL
from accountd.protocol.account import AccountLoginProgress, BrowserLoginStarted

if TYPE_CHECKING:
    from accountd.login.flow import Attempt
    from accountd.login.intent import Intent
    from accountd.protocol.account import LoginStarted


class State(Enum):
    """Where a login is."""

    WAITING = "waiting"  # for the person
    EXCHANGING = "exchanging"  # the approval for tokens, at the issuer
    COMMITTING = "committing"  # the tokens to the store
    COMPLETED = "completed"  # stored, and the account is the new one
    FAILED = "failed"  # nothing stored
    CANCELLED = "cancelled"  # nothing stored, because somebody said so


MOVES: Final[dict[State, frozenset[State]]] = {
    State.WAITING: frozenset({State.EXCHANGING, State.FAILED, State.CANCELLED}),
    State.EXCHANGING: frozenset({State.COMMITTING, State.FAILED, State.CANCELLED}),
    State.COMMITTING: frozenset({State.COMPLETED, State.FAILED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


class Login:
    """One login. Its scope is around all of it that can be cancelled; `ended` is set when it is over.

    `attempt` is what its flow has begun, for whoever wants to speak with it; `started` what its client was told
    of it, at the Unix time `now`; `intent` is what becomes of it.
    """

    def __init__(self, login_id: str, attempt: Attempt[Any], now: float, intent: Intent = USUAL) -> None:
        self.id = login_id
        self.intent = intent
        self.attempt = attempt
        self.started: LoginStarted = attempt.started(login_id)
        self._started_at = now
        self._retries = 0
        self._retry_cause: str | None = None
        self.state = State.WAITING
        self.scope = trio.CancelScope()
        self.ended = trio.Event()

    async def advance(self, state: State) -> None:
        """Take the next step, unless a cancellation is on its way: then that is raised, and nothing moves.

        A cancelled task may still be about to run, with its answer in hand; the look and the move are one.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self.move(state)

    def move(self, state: State) -> None:
        """Go to the next state. An illegal move is a bug of ours."""
        if state not in MOVES[self.state]:
            raise AssertionError(f"a login cannot go from {self.state.value} to {state.value}")
        self.state = state

    def note_retry(self, retries: int, cause: str | None) -> None:
        """See Retrying."""
        self._retries, self._retry_cause = retries, cause

    @property
    def kind(self) -> Literal["chatgpt", "chatgptDeviceCode"]:
        """How the person approves: in a browser of this machine, or with a code anywhere."""
        return "chatgpt" if isinstance(self.started, BrowserLoginStarted) else "chatgptDeviceCode"

    def progress(self) -> AccountLoginProgress | None:
        """Say where the login is; None once it has been decided how it ends."""
        match self.state:
            case State.WAITING | State.EXCHANGING | State.COMMITTING as state:
                return AccountLoginProgress(
                    self.id,
                    self.kind,
                    state.value,
                    self._started_at,
                    self._started_at + self.attempt.lifetime,
                    self._retries,
                    self._retry_cause,
                )
        return None

    def cancel(self) -> bool:
        """Cancel the attempt if it can be. True promises that nothing was stored and nothing will be."""
        if State.CANCELLED not in MOVES[self.state]:
            return False
        self.move(State.CANCELLED)
        self.scope.cancel()
        return True

    def __repr__(self) -> str:
        return f"<Login {self.id} {self.state.value}>"
