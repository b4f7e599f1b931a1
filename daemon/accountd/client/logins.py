"""A login that this client has begun, while somebody approves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from accountd.client.errors import ConnectionLost, LoginFailed
from accountd.client.steps import Steps
from accountd.protocol.account import AccountLoginCompleted, AccountLoginProgress
from accountd.protocol.reasons import ErrorReason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.protocol.account import BrowserLoginStarted, DeviceCodeLoginStarted


class Login:
    """What both kinds have in common. Times are Unix seconds."""

    id: str
    """What the protocol calls it by: `Client.cancel_login`, `list_logins` and each notification of it."""

    progress: AccountLoginProgress
    """Where the login is, as far as the daemon has said."""

    def __init__(
        self,
        started: BrowserLoginStarted | DeviceCodeLoginStarted,
        cancel: Callable[[str], Awaitable[bool]],
    ) -> None:
        self.id = started.login_id
        self._cancel = cancel
        self._outcome: AccountLoginCompleted | ConnectionLost | None = None
        self._steps: list[AccountLoginProgress] = []
        self._begun = trio.Event()
        self._changed = trio.Event()
        self._ended = trio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether `wait` would return, or raise, at once."""
        return self._ended.is_set()

    @property
    def expires_at(self) -> float:
        """When the daemon gives the login up."""
        return self.progress.expires_at

    async def wait(self) -> None:
        """Wait until the person is logged in.

        Raises LoginFailed, with what to tell the person, also when it was cancelled by anybody; ConnectionLost
        where it is not known how the login ended. Cancelling this cancels the waiting alone, not the login.
        """
        await self._ended.wait()
        match self._outcome:
            case ConnectionLost() as lost:
                raise lost
            case AccountLoginCompleted(success=False, error=error, accountd=told):
                reason = told.reason if isinstance(told, ErrorReason) else None
                raise LoginFailed(error or "the login failed", reason)

    def follow(self) -> Steps[AccountLoginProgress]:
        """Give each step of the login, from its first; then end as `wait` does, or raise what it raises."""
        return Steps(self._next_step)

    async def _next_step(self, number: int) -> AccountLoginProgress | None:
        while number == len(self._steps) and not self.has_ended:
            await self._changed.wait()
        if number < len(self._steps):
            return self._steps[number]
        await self.wait()
        return None

    async def cancel(self) -> bool:
        """Cancel it. True promises that nothing was stored and nothing will be.

        False says that it had ended, or was just being stored: `wait` tells how. Raises CallFailed and
        ConnectionLost.
        """
        return await self._cancel(self.id)

    async def wait_begun(self) -> None:
        """Wait for the first progress, which follows the start's answer at once. Raises ConnectionLost."""
        await self._begun.wait()
        if isinstance(self._outcome, ConnectionLost):
            raise self._outcome

    def hear(self, told: AccountLoginProgress | AccountLoginCompleted | ConnectionLost) -> None:
        """Take in what concerns this login."""
        if isinstance(told, AccountLoginProgress):
            self.progress = told
            self._steps.append(told)
        elif self._outcome is None:
            self._outcome = told
            self._ended.set()
        self._begun.set()
        self._changed.set()
        self._changed = trio.Event()


class DeviceCodeLogin(Login):
    """Show the person `url` and `code`; any browser on any machine will do."""

    def __init__(self, started: DeviceCodeLoginStarted, cancel: Callable[[str], Awaitable[bool]]) -> None:
        super().__init__(started, cancel)
        self.url = started.verification_url
        self.code = started.user_code


class BrowserLogin(Login):
    """Open `url` in the person's own browser, which has to reach this machine at the end."""

    def __init__(
        self,
        started: BrowserLoginStarted,
        cancel: Callable[[str], Awaitable[bool]],
        submit: Callable[[str, str], Awaitable[None]],
    ) -> None:
        super().__init__(started, cancel)
        self.url = started.auth_url
        self._submit = submit

    async def submit_callback(self, url: str) -> None:
        """Hand in the address that the browser ended on, where it could not reach this machine.

        Raises CallFailed, with what to tell the person, for an address that is not this login's; it goes on.
        """
        await self._submit(self.id, url)
