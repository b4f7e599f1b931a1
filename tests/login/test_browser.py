"""The browser login, with a person who follows links as a browser does, and others who should not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import h11
import pytest
import trio
import trio.testing

from accountd.errors import InvalidRequest, StorageError
from accountd.login.browser import LIFETIME, LINGER, BrowserFlow
from accountd.policy import Policy
from accountd.protocol.account import BrowserLogin
from accountd.sandbox import Claims, Fault, Script
from accountd.storage.base import AuthRecord
from accountd.storage.memory import MemoryStore
from fakes.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import Mapping

EXCHANGE = "/oauth/token"


class Started:
    """A browser login that waits: its id, its port and the parts of its authorize URL."""

    def __init__(self, login_id: str, url: str) -> None:
        self.id = login_id
        self.url = url
        self.query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.state = self.query["state"]
        self.redirect_uri = self.query["redirect_uri"]
        self.port = urlsplit(self.redirect_uri).port or 0


async def start(world: World, ports: tuple[int, ...] = (0,), **wishes: Any) -> Started:
    """Begin a browser login on a free port."""
    replies: list[Any] = []
    flow = BrowserFlow(
        world.services.issuer,
        originator="tests",
        workspaces=world.services.policy.workspaces,
        wishes=BrowserLogin(**wishes),
        ports=ports,
    )
    await world.logins.start(flow, replies.append)
    return Started(replies[0].login_id, replies[0].auth_url)


class Answer:
    """What a browser got."""

    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        self.status = status
        self.headers = headers
        self.body = body


async def get(port: int, target: str, *, method: str = "GET", **headers: str) -> Answer:
    """Ask the port as a client that says what it is told to say."""
    http = h11.Connection(h11.CLIENT)
    fields = {"Host": f"127.0.0.1:{port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    request = h11.Request(method=method, target=target, headers=list(fields.items()))
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
        response, body = None, b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(65536)))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
    assert response is not None
    names = {name.decode(): value.decode() for name, value in response.headers}
    return Answer(response.status_code, names, body.decode())


async def approve(world: World, started: Started) -> str:
    """Approve at the sandbox, and give the address that the browser is sent back to."""
    return await world.sandbox.authorize(started.url, approve=True)


async def follow(location: str, **headers: str) -> Answer:
    """Load a page of the loopback port."""
    parts = urlsplit(location)
    return await get(parts.port or 0, parts.path + (f"?{parts.query}" if parts.query else ""), **headers)


async def test_one_that_may_not_begin_is_refused_as_any_login_is() -> None:
    """Its port is open by then, and is closed again; what is said is no less plain for that."""
    async with open_world() as world:
        await world.logins.shut()
        with pytest.raises(InvalidRequest, match="Server is draining"):
            await start(world)


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
        rebound = await get(
            started.port, f"/auth/callback?code=c&state={started.state}", Host=f"evil.example:{started.port}"
        )
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
