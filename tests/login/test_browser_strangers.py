"""A browser login whose port is asked by others than its person's browser."""

from __future__ import annotations

import trio
import trio.testing

from fakes.browser_login import approve, follow, get, start
from fakes.world import open_world


async def test_another_local_program_may_have_the_port_but_no_web_page(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """GET /cancel ends the login if nothing says that a browser sent it."""
    async with open_world() as world:
        started = await start(world)
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "none"},
            {"Referer": "https://evil.example/"},
            {"User_Agent": "Mozilla/5.0"},
        ):
            assert (await get(started.port, "/cancel", **headers)).status == 403
        assert world.heard == []
        assert (await get(started.port, "/cancel")).status == 200
        assert (await world.wait_completion(started.id))["error"] == "Login server error: Login cancelled"


async def test_the_newest_browser_login_gets_the_port(autojump_clock: trio.testing.MockClock) -> None:
    """A second one asks the first for its port, as it would ask Codex, and gets it at once."""
    async with open_world() as world:
        first = await start(world)
        second = await start(world, ports=(first.port,))
        assert second.port == first.port
        assert (await world.wait_completion(first.id))["error"] == "Login server error: Login cancelled"
        assert (await get(first.port, f"/auth/callback?code=c&state={first.state}")).status == 400
        await follow(await approve(world, second))
        assert (await world.wait_completion(second.id))["success"]


async def test_a_lingering_port_makes_way(autojump_clock: trio.testing.MockClock) -> None:
    """A login that has ended, and waits for its browser to fetch the page, does not hold up the next."""
    async with open_world() as world:
        first = await start(world)
        await follow(await approve(world, first))
        second = await start(world, ports=(first.port,))
        assert second.port == first.port
        assert await world.logins.cancel(second.id)


async def test_a_hostile_web_page_can_do_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Whatever a page makes a browser send, without the state the login goes on, and then completes."""
    async with open_world() as world:
        started = await start(world)
        cross = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site", "User_Agent": "Mozilla/5.0"}
        for target in (
            "/",
            "/auth/callback",
            "/success",
            "/failure",
            "/cancel",
            "/auth/callback/../../x",
            "/%2e%2e",
        ):
            for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
                answer = await get(started.port, target, method=method, **cross)
                assert answer.status in (400, 403, 404, 405)
        for guess in ("", "A" * 43, started.state[:-1], started.state + "A", started.state.swapcase()):
            for suffix in ("&code=c", "&error=access_denied", ""):
                assert (await get(started.port, f"/auth/callback?state={guess}{suffix}", **cross)).status == 400
        rebound = await get(started.port, "/auth/callback?code=c&state=x", Host=f"evil.example:{started.port}")
        assert rebound.status == 421
        twice = f"/auth/callback?code=c&state={started.state}&state={started.state}"
        assert (await get(started.port, twice)).status == 400
        assert world.heard == []
        answer = await follow(await approve(world, started), **cross)
        assert answer.headers["location"].endswith("/success")


async def test_a_flood_of_wrong_states_does_not_wear_it_down(autojump_clock: trio.testing.MockClock) -> None:
    """Hundreds of guesses, many at once, and the login completes with the right one."""
    async with open_world() as world:
        started = await start(world)
        limit = trio.CapacityLimiter(20)
        async with trio.open_nursery() as nursery:

            async def guess(number: int) -> None:
                async with limit:
                    assert (await get(started.port, f"/auth/callback?code=c&state={number:043}")).status == 400

            for number in range(300):
                nursery.start_soon(guess, number)
        await follow(await approve(world, started))
        assert (await world.wait_completion(started.id))["success"]
