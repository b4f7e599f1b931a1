"""Where notifications go out: published once, seen by every subscription in the same order."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from accountd.protocol.account import AccountLoginCompleted
from accountd.protocol.jsonrpc import render_notification
from accountd.protocol.methods import EXTENSION_NOTIFICATIONS, NOTIFICATIONS
from accountd.unforeseen import report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accountd.protocol.account import Wire

_log = logging.getLogger(__name__)


class Audience(msgspec.Struct, frozen=True):
    """Whom a notification about one account is for: those who mean it by its id, or follow the active account."""

    account_id: str | None = None
    followers: bool = False


class Notification(msgspec.Struct, frozen=True):
    """One notification as all clients get it: encoded once, stamped once.

    With an audience in `to`, it is for those alone who are of it, or wait for that. `extended` is what clients get
    in its place who declare the accountd extension, where that is more.
    """

    method: str
    payload: bytes
    extended: bytes | None = None
    extension: bool = False
    to: object = None


class Hub:
    """The list of subscriptions. Nothing here waits: a subscription bounds itself, and takes care of its own."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._subscriptions: dict[object, Callable[[Notification], None]] = {}

    def publish(self, body: Wire, *, extension: bool = False, to: object = None) -> None:
        """Hand a notification to every subscription. Cannot be cancelled, so it may stand in a `finally`.

        With `extension` it is one that the peer would not send, and for those alone who ask for such; as are
        all of EXTENSION_NOTIFICATIONS.
        """
        notification = self.render(body, extension=extension, to=to)
        for deliver in tuple(self._subscriptions.values()):
            try:
                deliver(notification)
            except Exception as error:  # noqa: BLE001 - a bug of one must not keep the others from hearing
                report(_log, "a notification to one of the clients", error)

    def render(self, body: Wire, *, extension: bool = False, to: object = None) -> Notification:
        """Make a notification of a body, for whoever delivers it."""
        method = NOTIFICATIONS[type(body)]
        now, extended = self._now_ns() // 1_000_000, None
        if isinstance(body, AccountLoginCompleted) and body.accountd is not msgspec.UNSET:
            extended = render_notification(method, body, now)
            body = body.as_stock()
        payload = render_notification(method, body, now)
        return Notification(method, payload, extended, extension or type(body) in EXTENSION_NOTIFICATIONS, to)

    @contextmanager
    def subscribe(self, deliver: Callable[[Notification], None]) -> Iterator[None]:
        """Have `deliver` called with what is published during the block. It must not block and not raise."""
        key = object()
        self._subscriptions[key] = deliver
        try:
            yield
        finally:
            del self._subscriptions[key]
