"""The browser login, with a person who follows links as a browser does."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
import trio.testing

from accountd.config.policy import Policy
from accountd.errors import InvalidRequest, StorageError
from accountd.login.browser import LIFETIME, LINGER
from accountd.sandbox import Claims, Fault, Script
from accountd.storage.memory import MemoryStore
from fakes.browser_login import EXCHANGE, approve, follow, get, start
from fakes.world import open_world

if TYPE_CHECKING:
    from accountd.storage.base import AuthRecord
    from fakes.browser_login import Answer


async def test_one_that_may_not_begin_is_refused_as_any_login_is() -> None:
    """Its port is open by then, and is closed again; what is said is no less plain for that."""
    async with open_world() as world:
        await world.logins.shut()
        with pytest.raises(InvalidRequest, match="Server is draining"):
            await start(world)


@pytest.mark.parametrize("host", ["ada-1455.app.example.dev", "localhost:9999", "127.0.0.1"])
async def test_a_browser_behind_a_forwarded_port_logs_in(host: str, autojump_clock: trio.testing.MockClock) -> None:
    """The callback comes by the name that the port has there, and so does the look at how it went."""
    async with open_world() as world:
        started = await start(world)
        location = await approve(world, started)
        answer = await follow(location, Host=host)
        assert (answer.status, answer.headers["location"]) == (303, "../success")
        assert (await world.wait_completion(started.id))["success"]
        page = await get(started.port, "/success", Host=host)
        assert page.status == 200
        assert "You are signed in" in page.body


async def test_an_approval_logs_in_and_the_browser_ends_on_a_clean_page(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The issuer's redirect, the exchange, the commit; then a page whose address says nothing of them."""
    async with open_world() as world:
        started = await start(world)
        answer = await follow(await approve(world, started), Sec_Fetch_Site="cross-site")
        assert answer.status == 303
        assert answer.headers["location"] == f"http://127.0.0.1:{started.port}/success"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert world.completions()[0]["success"]
        page = await follow(answer.headers["location"])
        assert page.status == 200
        assert "You are signed in" in page.body
        assert started.state not in page.body
        assert [heard["method"] for heard in world.heard] == ["account/login/completed", "account/updated"]
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is not None
        assert world.store.record.api_key is not None


async def test_the_login_does_not_depend_on_the_success_page(autojump_clock: trio.testing.MockClock) -> None:
    """A browser that is closed right after the redirect has logged in; the port is free soon after."""
    async with open_world() as world:
        started = await start(world)
        parts = urlsplit(await approve(world, started))
        async with await trio.open_tcp_stream("127.0.0.1", started.port) as browser:
            request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            await browser.send_all(request.encode())
        assert (await world.wait_completion(started.id))["success"]
        await trio.sleep(LINGER + 2)
        with pytest.raises(OSError, match=r"refused|all attempts"):
            await trio.open_tcp_stream("127.0.0.1", started.port)


async def test_a_reload_of_the_callback_does_not_spend_the_code_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Two requests with the code lead to one exchange and the same page."""
    async with open_world(Script(delay=1)) as world:
        started = await start(world)
        location = await approve(world, started)
        answers: list[Answer] = []
        async with trio.open_nursery() as nursery:
            for _ in range(2):

                async def load() -> None:
                    answers.append(await follow(location))

                nursery.start_soon(load)
        assert [answer.headers["location"][-8:] for answer in answers] == ["/success", "/success"]
        exchanges = [request for request in world.sandbox.requests if request.path == EXCHANGE]
        assert len(exchanges) == 2  # the code, then the ID token for an API key


@pytest.mark.parametrize(
    ("query", "error", "title"),
    [
        ("", "Missing authorization code. Sign-in could not be completed.", "Sign-in failed"),
        ("&error=access_denied", "Sign-in failed: access_denied", "Sign-in was denied"),
        (
            "&error=access_denied&error_description=not+today+%3Cscript%3E",
            "Sign-in failed: not today <script>",
            "not today &lt;script&gt;",
        ),
        (
            "&error=access_denied&error_description=Missing_Codex_Entitlement",
            "Codex is not enabled for your workspace. "
            "Contact your workspace administrator to request access to Codex.",
            "You do not have access to Codex",
        ),
        ("&error=server_error", "Sign-in failed: server_error", "Sign-in failed"),
    ],
)
async def test_what_the_issuer_refuses_ends_the_login_with_its_reason(
    autojump_clock: trio.testing.MockClock, query: str, error: str, title: str
) -> None:
    """The completion has the recorded text; the browser a page, at an address without the state."""
    async with open_world() as world:
        started = await start(world)
        answer = await get(started.port, f"/auth/callback?state={started.state}{query}")
        assert answer.headers["location"] == f"http://127.0.0.1:{started.port}/failure"
        page = await follow(answer.headers["location"])
        assert title in page.body
        assert "<script>" not in page.body
        assert (await world.wait_completion(started.id))["error"] == f"Login server error: {error}"
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is None


async def test_a_refused_exchange_says_so(autojump_clock: trio.testing.MockClock) -> None:
    """The token endpoint's words reach client and page, but not the code if it quotes it."""
    async with open_world() as world:
        started = await start(world)
        location = await approve(world, started)
        code = parse_qs(urlsplit(location).query)["code"][0]
        fault = Fault(EXCHANGE, 1, 403, {"error": {"message": f"forbidden {code}", "code": "x"}})
        world.sandbox.script = Script(faults=(fault,))
        page = await follow((await follow(location)).headers["location"])
        error = "Token exchange failed: token endpoint returned status 403 Forbidden: forbidden ..."
        assert (await world.wait_completion(started.id))["error"] == f"Login server error: {error}"
        assert error in page.body


async def test_a_failing_api_key_exchange_does_not_matter(autojump_clock: trio.testing.MockClock) -> None:
    """People without an API account log in all the same."""
    async with open_world() as world:
        started = await start(world)
        location = await approve(world, started)
        world.sandbox.script = Script(faults=(Fault(EXCHANGE, 2, 401),))
        await follow(location)
        assert (await world.wait_completion(started.id))["success"]
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is not None
        assert world.store.record.api_key is None


async def test_a_workspace_that_is_not_allowed_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    """The authorize URL asks for the allowed ones; tokens for another are not stored, and the page says why."""
    policy = Policy(workspaces=("acct-a", "acct-b"))
    script = Script(claims=Claims(account_id="acct-elsewhere"))
    async with open_world(script, policy=policy) as world:
        started = await start(world)
        assert started.query["allowed_workspace_id"] == "acct-a,acct-b"
        tokens = {
            token: getattr(world.sandbox.issue_tokens(), token).reveal()
            for token in ("id_token", "access_token", "refresh_token")
        }
        world.sandbox.script = Script(faults=(Fault(EXCHANGE, 1, 200, tokens),))
        answer = await get(started.port, f"/auth/callback?code=c&state={started.state}")
        page = await follow(answer.headers["location"])
        assert "This workspace is not allowed here" in page.body
        error = (await world.wait_completion(started.id))["error"]
        assert error == "Login server error: Login is restricted to workspace id(s) acct-a, acct-b."


class FullDisk(MemoryStore):
    """A store that cannot be written."""

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        await trio.lowlevel.checkpoint()
        raise StorageError("No space left on device (os error 28)")


async def test_a_credential_that_cannot_be_saved_is_no_success(autojump_clock: trio.testing.MockClock) -> None:
    """The client hears the recorded text, the person the reason."""
    async with open_world(store=FullDisk()) as world:
        started = await start(world)
        page = await follow((await follow(await approve(world, started))).headers["location"])
        assert "Your sign-in could not be saved" in page.body
        assert "No space left on device" in page.body
        assert (await world.wait_completion(started.id))["error"] == (
            "Login server error: Sign-in completed but credentials could not be saved locally."
        )


async def test_nobody_coming_ends_it_after_ten_minutes(autojump_clock: trio.testing.MockClock) -> None:
    """The time is up, nothing is stored, and the port is free."""
    async with open_world() as world:
        begun = trio.current_time()
        started = await start(world)
        assert (await world.wait_completion(started.id))["error"] == "Login timed out"
        assert trio.current_time() - begun == pytest.approx(LIFETIME, abs=1)
        await trio.sleep(1)
        with pytest.raises(OSError, match=r"refused|all attempts"):
            await trio.open_tcp_stream("127.0.0.1", started.port)


async def test_a_cancel_by_its_id_shows_the_waiting_browser_so(autojump_clock: trio.testing.MockClock) -> None:
    """A browser that waits for the exchange is told, and nothing is stored."""
    async with open_world() as world:
        started = await start(world)
        location = await approve(world, started)
        world.sandbox.script = Script(delay=100)
        answers: list[Answer] = []
        async with trio.open_nursery() as nursery:

            async def load() -> None:
                answer = await follow(location)
                answers.append(await follow(answer.headers["location"]))

            nursery.start_soon(load)
            await trio.sleep(10)
            assert await world.logins.cancel(started.id)
        assert "Login cancelled" in answers[0].body
        assert (await world.wait_completion(started.id))["error"] == "Login server error: Login was not completed"


async def test_a_desktop_app_may_want_chatgpts_own_page(autojump_clock: trio.testing.MockClock) -> None:
    """`useHostedLoginSuccessPage` sends the browser there, with the brand and nothing else in the address."""
    async with open_world() as world:
        started = await start(world, use_hosted_login_success_page=True, app_brand="chatgpt")
        answer = await follow(await approve(world, started))
        assert answer.headers["location"] == ("https://chatgpt.com/codex/open-app?source=login&app_brand=chatgpt")
        assert (await world.wait_completion(started.id))["success"]


async def test_where_a_person_came_from_is_passed_on(autojump_clock: trio.testing.MockClock) -> None:
    """The issuer's suffix of the state is the completion's `onboardingEntrypoint`."""
    async with open_world() as world:
        started = await start(world)
        location = (await approve(world, started)).replace(
            started.state, started.state + ".onboarding_entrypoint=life_sciences"
        )
        await follow(location)
        assert (await world.wait_completion(started.id))["onboardingEntrypoint"] == "life_sciences"
