"""What a client on asyncio follows: the notifications of its daemon, and a login that it has begun."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from accountd.client.errors import ConnectionLost, LoginFailed, read_reason
from accountd.client.incoming import Notification
from accountd.client.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Self

    from accountd.client import results

    Call = Callable[[str, Mapping[str, object]], Awaitable[dict[str, Any]]]


class Notifications:
    """An endless async iterator. It has what is said from its making on."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Notification | ConnectionLost] = asyncio.Queue()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notification:
        """Wait for the next one. Cancelling it loses none. Raises ConnectionLost when there will be none."""
        told = await self._queue.get()
        if isinstance(told, ConnectionLost):
            self._queue.put_nowait(told)
            raise told
        return told

    def put(self, told: Notification | ConnectionLost) -> None:
        """Take one in."""
        self._queue.put_nowait(told)


class Login:
    """What both kinds have in common. Times are Unix seconds."""

    id: str
    """What the protocol calls it by: in `account/login/cancel` and each notification of it."""

    url: str

    def __init__(self, call: Call, started: Mapping[str, str]) -> None:
        self.id = started["loginId"]
        self._call = call
        self._steps: list[results.AccountLoginProgress] = []
        self._outcome: dict[str, Any] | ConnectionLost | None = None
        self._changed = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether `wait` would return, or raise, at once."""
        return self._outcome is not None

    @property
    def expires_at(self) -> float:
        """When the daemon gives the login up."""
        return self._steps[-1]["expiresAt"]

    async def wait(self) -> None:
        """Wait until the person is logged in.

        Raises LoginFailed, with what to tell the person, also when it was cancelled by anybody; ConnectionLost
        where it is not known how the login ended. Cancelling this cancels the waiting alone, not the login.
        """
        while self._outcome is None:
            await self._changed.wait()
        if isinstance(self._outcome, ConnectionLost):
            raise self._outcome
        if not self._outcome["success"]:
            raise LoginFailed(self._outcome["error"] or "the login failed", read_reason(self._outcome))

    def follow(self) -> Steps[results.AccountLoginProgress]:
        """Give each step of the login, from its first; then end as `wait` does, or raise what it raises."""
        return Steps(self._next_step)

    async def _next_step(self, number: int) -> results.AccountLoginProgress | None:
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
        answer = await self._call("account/login/cancel", {"loginId": self.id})
        return bool(answer["status"] == "canceled")

    async def wait_begun(self) -> None:
        """Wait for the first step, which follows the start's answer at once. Raises ConnectionLost."""
        while not self._steps and self._outcome is None:
            await self._changed.wait()
        if isinstance(self._outcome, ConnectionLost):
            raise self._outcome

    def hear(self, told: Notification | ConnectionLost) -> None:
        """Take in what concerns this login."""
        if isinstance(told, ConnectionLost):
            self._outcome = self._outcome or told
        elif told.method == "account/login/completed":
            self._outcome = told.params
        elif told.method == "account/login/progress":
            self._steps.append(cast("results.AccountLoginProgress", told.params))
        self._changed.set()
        self._changed = asyncio.Event()


class DeviceCodeLogin(Login):
    """Show the person `url` and `code`; any browser on any machine will do."""

    def __init__(self, call: Call, started: Mapping[str, str]) -> None:
        super().__init__(call, started)
        self.url = started["verificationUrl"]
        self.code = started["userCode"]


class BrowserLogin(Login):
    """Open `url` in the person's own browser, which has to reach this machine at the end."""

    def __init__(self, call: Call, started: Mapping[str, str]) -> None:
        super().__init__(call, started)
        self.url = started["authUrl"]

    async def submit_callback(self, url: str) -> None:
        """Hand in the address that the browser ended on, where it could not reach this machine.

        Raises CallFailed, with what to tell the person, for an address that is not this login's; it goes on.
        """
        await self._call("account/login/submitCallback", {"loginId": self.id, "callbackUrl": url})
