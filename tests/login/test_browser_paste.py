"""A browser login whose address a person pastes, from a browser on another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.errors import InvalidRequest
from fakes.browser_login import approve, start
from fakes.world import open_world

if TYPE_CHECKING:
    import trio
    import trio.testing


async def test_a_pasted_address_completes_the_login(autojump_clock: trio.testing.MockClock) -> None:
    """A wrong paste is an error and the login goes on; the right one is the same as the redirect."""
    async with open_world() as world:
        started = await start(world)
        location = await approve(world, started)
        for wrong in ("", "hello", started.url, location.replace(started.state, "x" * 43), started.redirect_uri):
            with pytest.raises(InvalidRequest, match="Paste the whole address"):
                world.logins.submit_callback(started.id, wrong)
        with pytest.raises(InvalidRequest, match="no login with this id"):
            world.logins.submit_callback("another id", location)
        world.logins.submit_callback(started.id, f"  {location}\n")
        assert (await world.wait_completion(started.id))["success"]
        with pytest.raises(InvalidRequest, match="no login with this id"):
            world.logins.submit_callback(started.id, location)


async def test_a_pasted_refusal_ends_the_login(autojump_clock: trio.testing.MockClock) -> None:
    """The address of a denial is an answer, too."""
    async with open_world() as world:
        started = await start(world)
        denied = f"{started.redirect_uri}?error=access_denied&state={started.state}"
        world.logins.submit_callback(started.id, denied)
        error = (await world.wait_completion(started.id))["error"]
        assert error == "Login server error: Sign-in failed: access_denied"


async def test_a_device_login_takes_no_address(autojump_clock: trio.testing.MockClock) -> None:
    """What is typed into a page elsewhere has no address that could be pasted."""
    async with open_world() as world:
        login_id = await world.start_device_login()
        with pytest.raises(InvalidRequest, match="waits for its code"):
            world.logins.submit_callback(login_id, "http://127.0.0.1:1455/auth/callback?code=c")
