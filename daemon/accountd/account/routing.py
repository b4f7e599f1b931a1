"""Where the workspace of the current login is: the backend knows, and is asked once for each login.

It is asked ahead of time, so that who connects can be told of the account unasked, on that connection alone, as
Codex tells its clients: at once where the routing is known, or when the look-up that is under way has gone well.
A look-up that fails tells nobody, and those who waited for it are not told later: they find out by asking.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec
import trio

from accountd.errors import RemoteError, RemoteRefused, RequestFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.account.credential import Credential
    from accountd.account.refresh import Refresher
    from accountd.backend.client import Backend, Workspace
    from accountd.hub import Hub, Notification
    from accountd.protocol.account import AccountUpdated
    from accountd.storage.base import ChatgptLogin

FIRST_RETRY: Final = 15.0
LONGEST_RETRY: Final = 15 * 60.0
"""Seconds until the next look-up by itself, after a failure; doubled with each failure in a row."""

REMEMBERED: Final = 10.0
"""Seconds for which a client of ours that asks who is logged in is told of a failure without another look-up."""

_log = logging.getLogger(__name__)


class LookUp:
    """The look-up that a login waits for, made once or as often as it fails: an audience of the hub's."""

    def __init__(self, key: object) -> None:
        self.key = key


class Routing:
    """The routing of the workspace of an account's login."""

    def __init__(self, credential: Credential, refresher: Refresher, backend: Backend, hub: Hub) -> None:
        self._credential = credential
        self._refresher = refresher
        self._backend = backend
        self._hub = hub
        self._asking = trio.Lock()
        self._found: tuple[object, Workspace] | None = None
        self._awaited = LookUp(None)
        self._failed: tuple[object, float, str] | None = None

    def find(self, login: ChatgptLogin) -> Workspace | None:
        """Recall what the backend has said of a login's workspace."""
        found = self._found
        return found[1] if found is not None and found[0] == _key(login) else None

    def find_trouble(self, login: ChatgptLogin, within: float = REMEMBERED) -> str | None:
        """Say why a login's workspace could not be looked up, if that failed no more than so many seconds ago."""
        if self._failed is None or self._failed[0] != _key(login) or self.find(login) is not None:
            return None
        _, when, words = self._failed
        return words if trio.current_time() - when <= within else None

    async def look_up(self) -> None:
        """Ask the backend where the workspace of the current login is, if that is not known.

        Raises RequestFailed when it does not tell; the next call asks again. Where it refuses the tokens, the
        refresher says whether it is asked once more. Those who come while one asks wait for that answer.
        """
        async with self._asking:
            refusals = 0
            while (login := self._find_unrouted()) is not None and login.account_id is not None:
                try:
                    workspace = await self._backend.look_up_workspace(login.tokens.access_token, login.account_id)
                    self.take(login, workspace)
                except RemoteError as error:
                    if isinstance(error, RemoteRefused) and error.status == 401:
                        refusals += 1
                        if await self._refresher.may_ask_again(login, refusals):
                            continue
                    self._awaited = LookUp(None)
                    self._failed = (_key(login), trio.current_time(), _tell(error))
                    raise RequestFailed(str(error)) from error

    def take(self, login: ChatgptLogin, workspace: Workspace) -> None:
        """Remember what the backend has said of a login's workspace, and tell those who wait for it."""
        self._found = (_key(login), workspace)
        if self._awaited.key == _key(login) and (ready := self._render_ready()) is not None:
            self._hub.publish(ready, to=self._awaited)
            self._awaited = LookUp(None)

    def greet(self, deliver: Callable[[Notification], None]) -> LookUp | None:
        """Tell a client that has just come of a login whose routing is known, or give what it is to wait for.

        There is neither where nobody is logged in, nor for an API key.
        """
        login = self._find_unrouted()
        if login is None:
            if (ready := self._render_ready()) is not None:
                deliver(self._hub.render(ready))
            return None
        if self._awaited.key != _key(login):
            self._awaited = LookUp(_key(login))
        return self._awaited

    def _find_unrouted(self) -> ChatgptLogin | None:
        """Give the current login if its routing is to be looked up."""
        login = self._credential.routable
        return None if login is None or self.find(login) is not None else login

    def _render_ready(self) -> AccountUpdated | None:
        login = self._credential.routable
        if login is None or self.find(login) is None:
            return None
        return msgspec.structs.replace(self._credential.describe(), reason="workspaceRoutingReady")

    async def look_up_ahead(self) -> NoReturn:
        """Look each login's routing up when it comes, for ever; after a failure, again in a while."""
        retry = FIRST_RETRY
        while True:
            changed = self._credential.changed
            if self._find_unrouted() is None:
                retry = FIRST_RETRY
                await changed.wait()
                continue
            try:
                await self._refresher.refresh_if_due()
                await self.look_up()
            except RequestFailed as error:
                _log.info("the workspace is not known yet: %s", error)
                with trio.move_on_after(retry):
                    await changed.wait()
                retry = min(2 * retry, LONGEST_RETRY)


def _tell(error: RemoteError) -> str:
    """Put a failure into words for the person, with what was answered: a client of Codex's knows the first part."""
    return f"{error}: {error.__cause__}" if isinstance(error.__cause__, RemoteError) else str(error)


def _key(login: ChatgptLogin) -> object:
    """Name what a workspace is remembered for: a login, however often its tokens are refreshed."""
    return (login.account_id, login.login_owner_id)
