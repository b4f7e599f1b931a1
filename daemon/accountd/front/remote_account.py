"""The account of a token socket, which may be another machine's: asked on one connection, for all clients.

The other side sleeps, leaves and comes back as it likes, and a connection that is forwarded tells nothing of that:
it takes what is said and is silent. So the client library asks for a sign of life, ends a connection without one,
and connects anew for ever. While there is none nothing waits for it: what was known last is the answer, and who
needs a token is told at once that there is no other. When it is there again, the agent is given what it has by now,
and then the clients are told.

What a token socket refuses is not asked. Limits and usage the agent can tell; to log in and out belongs to where
the login is.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from accountd.client.connecting import introduce
from accountd.client.errors import CallFailed, ClientError, DaemonUnreachable
from accountd.client.notifications import Gap
from accountd.client.opening import open_client, open_stream
from accountd.errors import InvalidRequest, RequestFailed
from accountd.hub import Hub
from accountd.protocol.account import AccountUpdated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from accountd.client.client import Client
    from accountd.client.notifications import Notification
    from accountd.protocol.account import GetAccountResponse, ReadTokenResponse

OUR_NAME: Final = "accountd-front"
"""What those who have accounts are told of who asks."""

KEEPALIVE: Final = 15.0
"""Seconds between two signs of life, and for each to come."""

ANSWER_TIMEOUT: Final = 10.0
"""Seconds for an answer, before that of the last time is given."""

_RETRY_DELAY: Final = 5.0
"""Seconds until the next try where a connection can be had, and is of no use."""

READS: Final = frozenset({"account/read", "getAuthStatus"})
"""What is asked of the other side, and remembered."""

_log = logging.getLogger(__name__)


class RemoteAccount:
    """One account. Who asks it in the place of a daemon's client gets DaemonUnreachable while it is out of reach.

    `told` has what clients are to hear of it.
    """

    def __init__(self, client: Client) -> None:
        self.told = Hub()
        self._client = client
        self._known: dict[str, Any] = {}

    async def read_token(self, *, min_valid: int = 300, account: str | None = None) -> ReadTokenResponse:
        """See Client."""
        return await self._reach().read_token(min_valid=min_valid, account=account)

    async def read_account(self, *, refresh: bool = False, account: str | None = None) -> GetAccountResponse:
        """See Client."""
        return await self._reach().read_account(refresh=refresh, account=account)

    async def ask(self, method: str, params: Mapping[str, object]) -> object:
        """Ask what a client asks; the answer of READS is the last known while there is no other.

        Raises CallFailed with the words of the other side, and RequestFailed.
        """
        failure = self._describe("does not answer")
        try:
            with trio.move_on_after(ANSWER_TIMEOUT):
                return self._remember(method, await self._reach().call(method, params))
        except CallFailed:
            raise
        except ClientError as error:
            failure = str(error)
        if method not in self._known:
            raise RequestFailed(failure)
        return self._known[method]

    def _remember(self, method: str, answer: Any) -> object:
        if method in READS:
            self._known[method] = {**answer, "authToken": None} if "authToken" in answer else answer
        return answer

    async def notifications(self) -> AsyncIterator[Notification]:
        """Follow what changes; the clients are told of each change when the next one is asked for."""
        while True:
            try:
                async for notification in self._client.notifications():
                    yield notification
                    await self._tell(notification)
            except ClientError as error:
                _log.warning("%s", error)
            await trio.sleep(_RETRY_DELAY)

    def refuse(self, method: str) -> InvalidRequest:
        """Make the error of what is not done here."""
        return InvalidRequest(f"{method} is not available here: {self._where}")

    def describe_nobody(self) -> str:
        """Say why nothing is sent to the model while nobody is logged in."""
        return f"nobody is logged in: {self._where}"

    @property
    def _where(self) -> str:
        return f"the login is on the machine behind unix://{self._client.path}; log in and out there"

    async def _tell(self, notification: Notification) -> None:
        """Tell the clients; after a gap, in which anything may have changed, who is logged in now."""
        if not isinstance(notification, Gap):
            self.told.publish(notification)
            return
        with suppress(ClientError):
            status = await self._reach().read_auth_status()
            account = (await self._reach().read_account()).account
            self.told.publish(AccountUpdated(status.auth_method, getattr(account, "plan_type", None)))

    def _reach(self) -> Client:
        if not self._client.is_connected:
            raise DaemonUnreachable(self._describe("is out of reach"))
        return self._client

    def _describe(self, what: str) -> str:
        return f"the account behind unix://{self._client.path} {what}"


@asynccontextmanager
async def open_remote_account(path: Path) -> AsyncIterator[RemoteAccount]:
    """Have the account of a token socket for the block, whether or not anybody listens there yet."""
    introduction = introduce(OUR_NAME, None)
    async with open_client(
        path, partial(open_stream, path), introduction, start=False, eager=False, keepalive=KEEPALIVE
    ) as client:
        yield RemoteAccount(client)
