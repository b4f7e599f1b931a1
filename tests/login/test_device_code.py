"""The device-code login and an issuer that is in trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from accountd.sandbox import Fault, Script
from fakes.world import open_world

if TYPE_CHECKING:
    import trio.testing

POLL = "/api/accounts/deviceauth/token"


async def test_an_issuer_that_is_down_is_asked_less_and_less_often(autojump_clock: trio.testing.MockClock) -> None:
    """Twice a minute in the end, and not once a second by everybody whose login waits (RFC 8628 section 3.5)."""
    down = tuple(Fault(POLL, nth, 0) for nth in range(1, 400))
    async with open_world(Script(interval=1, faults=down)) as world:
        login_id = await world.start_device_login()
        await trio.sleep(300)
        polls = [request.path for request in world.sandbox.requests].count(POLL)
        assert 5 + 300 / 30 - 2 <= polls <= 5 + 300 / 30
        assert await world.logins.cancel(login_id)
