"""A browser login at its rarer moments: two answers at once, a cancel that is too late, the wrong page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import trio
import trio.testing

from accountd.login.browser import LINGER, BrowserFlow
from accountd.oauth import pages
from accountd.page_templates import PageTemplates
from accountd.protocol.account import BrowserLogin
from accountd.sandbox import Script
from fakes.world import World, open_world

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.protocol.account import BrowserLoginStarted


async def start(world: World, **wishes: Any) -> BrowserLoginStarted:
    """Begin a browser login on a free port."""
    replies: list[Any] = []
    issuer, wanted = world.services.issuer, BrowserLogin(**wishes)
    flow = BrowserFlow(issuer, originator="tests", workspaces=(), wishes=wanted, ports=(0,))
    await world.logins.start(flow, replies.append)
    started: BrowserLoginStarted = replies[0]
    return started


def query_of(started: BrowserLoginStarted) -> dict[str, str]:
    """Take the authorize URL apart."""
    return {name: values[0] for name, values in parse_qs(urlsplit(started.auth_url).query).items()}


async def get(started: BrowserLoginStarted, target: str) -> httpx.Response:
    """Ask the login's port, as a local program does, and follow nothing."""
    port = urlsplit(query_of(started)["redirect_uri"]).port
    async with httpx.AsyncClient(trust_env=False, headers={"User-Agent": "tests"}) as client:
        return await client.get(f"http://127.0.0.1:{port}{target}", timeout=None)


async def test_each_login_has_secrets_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    """Neither the state nor the PKCE challenge of one login is that of another (RFC 9700 section 2.1.1)."""
    async with open_world() as world:
        queries = [query_of(await start(world)) for _ in range(3)]
    assert len({query["state"] for query in queries}) == 3
    assert len({query["code_challenge"] for query in queries}) == 3


async def test_of_two_answers_at_once_the_first_counts(autojump_clock: trio.testing.MockClock) -> None:
    """A denial that comes right behind an approval, as of a second tab, does not undo it."""
    async with open_world() as world:
        started = await start(world)
        location = await world.sandbox.authorize(started.auth_url, approve=True)
        denial = location.partition("?")[0] + f"?error=access_denied&state={query_of(started)['state']}"
        world.logins.submit_callback(started.login_id, location)
        world.logins.submit_callback(started.login_id, denial)
        assert (await world.wait_completion(started.login_id))["success"]


async def test_a_program_that_wants_the_port_during_the_exchange_is_too_late(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is not told that anything was cancelled, since nothing is: the login goes on."""
    async with open_world() as world:
        started = await start(world)
        location = await world.sandbox.authorize(started.auth_url, approve=True)
        world.sandbox.script = Script(delay=5)
        world.logins.submit_callback(started.login_id, location)
        await trio.sleep(1)
        assert (await get(started, "/cancel")).status_code == 404
        assert (await world.wait_completion(started.login_id))["success"]


async def test_a_page_of_success_is_for_a_success_alone(autojump_clock: trio.testing.MockClock) -> None:
    """Whoever asks for it after a denial gets nothing, and the page of the failure is still there to be fetched."""
    async with open_world() as world:
        started = await start(world)
        answer = await get(started, f"/auth/callback?error=access_denied&state={query_of(started)['state']}")
        assert answer.headers["location"].endswith("/failure")
        assert not world.completions()[0]["success"]
        assert (await get(started, "/success")).status_code == 404
        assert (await get(started, "/failure")).status_code == 200


async def test_a_login_that_no_browser_came_to_holds_no_port(autojump_clock: trio.testing.MockClock) -> None:
    """After a pasted address nobody is going to fetch a page, so nobody is waited for."""
    async with open_world() as world:
        started = await start(world)
        world.logins.submit_callback(
            started.login_id, await world.sandbox.authorize(started.auth_url, approve=True)
        )
        await world.wait_completion(started.login_id)
        await trio.sleep(LINGER / 2)
        with pytest.raises(httpx.ConnectError):
            await get(started, "/success")


async def test_a_page_that_was_fetched_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """Once the browser has seen how it ended, the port is free for the next login."""
    async with open_world() as world:
        started = await start(world)
        location = await world.sandbox.authorize(started.auth_url, approve=True)
        await get(started, location.removeprefix(query_of(started)["redirect_uri"].removesuffix("/auth/callback")))
        assert (await get(started, "/success")).status_code == 200
        await trio.sleep(LINGER / 2)
        with pytest.raises(httpx.ConnectError):
            await get(started, "/success")


async def test_a_page_of_chatgpts_own_is_for_a_success_alone(autojump_clock: trio.testing.MockClock) -> None:
    """A desktop app that wants it shows the page of the failure here, which says what was wrong."""
    async with open_world() as world:
        started = await start(world, use_hosted_login_success_page=True)
        answer = await get(started, f"/auth/callback?error=access_denied&state={query_of(started)['state']}")
        assert answer.headers["location"].startswith("http://127.0.0.1:")
        assert answer.headers["location"].endswith("/failure")


async def test_what_the_pages_are_made_of_is_read_before_anybody_is_sent_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Else a login whose page cannot be read would be stored, and nobody told how it ended."""
    monkeypatch.setattr(pages, "TEMPLATES", PageTemplates(tmp_path))
    async with open_world() as world:
        with pytest.raises(FileNotFoundError):
            await start(world)
        assert world.logins.under_way() == ()
