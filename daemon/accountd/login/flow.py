"""What a way to log in is: the part of a login in which the person takes part.

`device_code` and `browser` are the two; the manager runs them without knowing which is which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from accountd.oauth.tokens import TokenSet
from accountd.protocol.account import Entrypoint, LoginStarted
from accountd.secret import Secret

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from accountd.errors import AccountdError

ApprovalT = TypeVar("ApprovalT")

Retrying = Callable[[int, str | None], None]
"""Told how many requests in a row told nothing of the person, and why the last one did not; 0 when one did."""


class Granted(msgspec.Struct, frozen=True):
    """What a flow ends in."""

    tokens: TokenSet
    api_key: Secret | None = None
    onboarding_entrypoint: Entrypoint | None = None


class Attempt(Protocol[ApprovalT]):
    """A flow that has begun: the person can approve from now on, for `lifetime` seconds."""

    @property
    def lifetime(self) -> float:
        """Give the seconds."""
        ...

    def started(self, login_id: str) -> LoginStarted:
        """Give the result of `account/login/start`: what a client needs to show."""
        ...

    async def wait_approval(self, retrying: Retrying) -> ApprovalT:
        """Wait until the person has approved. Raises LoginFailed."""
        ...

    async def exchange(self, approval: ApprovalT) -> Granted:
        """Get the tokens for an approval. Raises LoginFailed."""
        ...

    def submit_callback(self, url: str) -> None:
        """Take the address at which the person's browser ended. Raises InvalidRequest, and goes on."""
        ...

    def conclude(self, error: AccountdError | None) -> str | None:
        """Learn how the login ended, to show it to the person; give the words for clients, None for success.

        Called once, and must not wait.
        """
        ...


class Flow(Protocol[ApprovalT]):
    """A way to log in."""

    def open(self) -> AbstractAsyncContextManager[Attempt[ApprovalT]]:
        """Prepare all that a person needs in order to approve. Raises RequestError.

        The block outlives the login; it may linger for a moment, to show the person how that ended.
        """
        ...
