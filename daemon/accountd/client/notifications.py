"""What the daemon says unasked, for one who follows it: whole and in order, or with a Gap where it is not."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.foreign_json import UNDECODABLE
from accountd.protocol.account import (
    AccountLoginCompleted,
    AccountLoginProgress,
    AccountTokenChanged,
    AccountUpdated,
)
from accountd.protocol.methods import NOTIFICATIONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

MAX_QUEUED: Final = 1000
"""Notifications that wait to be taken. Whoever is further behind is told of a gap instead of using up memory."""


class Gap(msgspec.Struct, frozen=True):
    """Something may have been said that you have not heard: read again what you need.

    The connection was lost and there is another one, or you have not taken notifications for long.
    """


Notification = AccountLoginCompleted | AccountLoginProgress | AccountTokenChanged | AccountUpdated | Gap

_TYPES: Final = {method: body for body, method in NOTIFICATIONS.items()}


def parse_notification(method: str, params: msgspec.Raw) -> Notification | None:
    """Read what the daemon said; None for what this version of the library does not know."""
    body = _TYPES.get(method)
    if body is None:
        return None
    try:
        notification: Notification = msgspec.json.decode(params, type=body)  # type: ignore[assignment]  # the table's
    except UNDECODABLE:
        return None
    return notification


class Notifications:
    """An endless async iterator. It has what is said from its making on; let go of it when you are done.

    `wait_connected` is awaited when there is nothing to take; it returns when there is a connection.
    """

    def __init__(self, wait_connected: Callable[[], Awaitable[None]]) -> None:
        self._wait_connected = wait_connected
        self._queue: deque[Notification] = deque()
        self._changed = trio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notification:
        """Wait for the next one. Cancelling it loses none. See Client.notifications for what is raised."""
        await trio.lowlevel.checkpoint()
        while not self._queue:
            await self._wait_connected()
            if not self._queue:
                await self._changed.wait()
        return self._queue.popleft()

    def put(self, notification: Notification) -> None:
        """Take one in."""
        if len(self._queue) >= MAX_QUEUED:
            self._queue.clear()
            notification = Gap()
        if not (isinstance(notification, Gap) and self._queue and isinstance(self._queue[-1], Gap)):
            self._queue.append(notification)
        self.wake()

    def wake(self) -> None:
        """Look again at the connection."""
        self._changed.set()
        self._changed = trio.Event()
