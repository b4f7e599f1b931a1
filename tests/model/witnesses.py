"""Those who see what happens in the model: in the store, to the tokens of each login, and what is heard of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from accountd.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.hub import Notification
    from accountd.login.flow import Attempt, Flow, Granted, Retrying
    from accountd.protocol.account import LoginStarted
    from accountd.secret import Secret
    from accountd.storage.base import AuthRecord

Event = tuple[str, Any]
"""What happened, and to what."""


class RecordingStore(MemoryStore):
    """A memory store that takes its time, so that much may happen meanwhile, and notes what was done to it."""

    def __init__(self, log: list[Event]) -> None:
        super().__init__()
        self._log = log

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        await trio.sleep(0.6)
        self.record = record
        self._log.append(("save", record))

    async def delete(self) -> None:
        """See MemoryStore."""
        await trio.sleep(0.6)
        self.record = None
        self._log.append(("delete", None))


class MarkedFlow:
    """A flow whose tokens are remembered, so that one can tell which login a stored credential is of."""

    def __init__(self, flow: Flow[Any], owners: dict[Secret, str]) -> None:
        self._flow = flow
        self._owners = owners

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Attempt[Any]]:
        """See Flow."""
        async with self._flow.open() as attempt:
            yield MarkedAttempt(attempt, self._owners)


class MarkedAttempt:
    """See MarkedFlow."""

    def __init__(self, attempt: Attempt[Any], owners: dict[Secret, str]) -> None:
        self._attempt = attempt
        self._owners = owners
        self.lifetime = attempt.lifetime
        self.submit_callback = attempt.submit_callback
        self.conclude = attempt.conclude

    def started(self, login_id: str) -> LoginStarted:
        """See Attempt."""
        self._id = login_id
        return self._attempt.started(login_id)

    async def wait_approval(self, retrying: Retrying) -> Any:
        """See Attempt."""
        return await self._attempt.wait_approval(retrying)

    async def exchange(self, approval: Any) -> Granted:
        """See Attempt."""
        granted = await self._attempt.exchange(approval)
        self._owners[granted.tokens.refresh_token] = self._id
        return granted


class Subscriber:
    """Somebody who listens for a while, from the `start`th notification on."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.heard: list[bytes] = []
        self.leaves = trio.Event()

    def hear(self, notification: Notification) -> None:
        """Take one in."""
        self.heard.append(notification.payload)
