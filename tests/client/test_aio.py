"""The client on asyncio, against a scripted server: what is asked, and what comes of it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from accountd.client.aio import BrowserLogin, DeviceCodeLogin, Notification, connect
from accountd.client.errors import CallFailed, CallTimedOut, ConnectionLost, LoginFailed, NothingListens
from fakes.app_server import LOGIN_ID, STARTED, AppServer, Message, Raw, Refusal, Script, Then, begin, completed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from accountd.client.aio import Client

BROWSER: Message = {"type": "chatgpt", "loginId": LOGIN_ID, "authUrl": "https://auth.example.com/oauth/authorize"}
CANCEL: Message = {"status": "canceled"}
UPDATED: Message = {"authMode": "chatgpt", "planType": "plus", "reason": None}


def start(*told: tuple[str, Message]) -> Callable[[Message], Then]:
    """Answer the start of a login of either kind, then tell its progress, and these."""
    return lambda params: begin(BROWSER if params["type"] == "chatgpt" else STARTED, *told)


def run(path: Path, program: Callable[[Client], Awaitable[Any]]) -> Any:
    """Run a program with a client."""

    async def main() -> Any:
        async with asyncio.timeout(10), connect(path, name="x", start=False) as client:
            return await program(client)

    return asyncio.run(main())


def test_a_call_gives_its_result_or_the_daemons_error(path: Path) -> None:
    """At the same time as others, each its own; the reason of an error with it."""
    refusal = Refusal(-32600, "nobody is logged in", "notLoggedIn")

    async def program(client: Client) -> None:
        assert client.server["platformOs"] == "linux"
        first, second = await asyncio.gather(client.call("account/read", {}), client.call("account/store/read"))
        assert (first, second) == ({"account": None}, {"kind": "memory"})
        with pytest.raises(CallFailed, match="nobody is logged in") as raised:
            await client.call("account/token/read", {"minValidSeconds": 5})
        assert (raised.value.code, raised.value.reason) == (-32600, "notLoggedIn")

    script: Script = {
        "account/read": {"account": None},
        "account/store/read": {"kind": "memory"},
        "account/token/read": refusal,
    }
    with AppServer(path, script) as server:
        run(path, program)
        assert server.params("initialize")["clientInfo"]["name"] == "x"
        assert server.params("account/token/read") == {"minValidSeconds": 5}


def test_logins_of_both_kinds_are_followed_to_their_end(path: Path) -> None:
    """What a person needs is there when the block begins; one that has ended is not cancelled."""
    exchanging = "account/login/progress", {"loginId": LOGIN_ID, "state": "exchanging", "expiresAt": 1.0}

    async def program(client: Client) -> None:
        async with client.login_device_code() as code:
            assert isinstance(code, DeviceCodeLogin)
            assert (code.id, code.code, code.url) == (LOGIN_ID, STARTED["userCode"], STARTED["verificationUrl"])
            assert [step["state"] async for step in code.follow()] == ["waiting", "exchanging"]
            assert code.has_ended
        async with client.login_browser() as browser:
            assert isinstance(browser, BrowserLogin)
            assert browser.url == BROWSER["authUrl"]
            assert browser.expires_at > 0
            await browser.submit_callback("http://127.0.0.1:1455/x")
            await browser.wait()

    script: Script = {"account/login/start": start(exchanging, completed()), "account/login/submitCallback": {}}
    with AppServer(path, script) as server:
        run(path, program)
        assert "account/login/cancel" not in server.methods


def test_a_login_that_fails_says_why(path: Path) -> None:
    """To a person and to a program."""

    async def program(client: Client) -> None:
        async with client.login_device_code() as login:
            with pytest.raises(LoginFailed, match="denied") as raised:
                await login.wait()
            assert raised.value.reason == "loginDenied"

    with AppServer(path, {"account/login/start": start(completed("denied", reason="loginDenied"))}):
        run(path, program)


def test_leaving_the_block_cancels_the_login(path: Path) -> None:
    """By its end, an exception, a timeout or a cancellation of the task, which comes out as it is."""

    async def wait(client: Client) -> None:
        async with client.login_device_code() as login:
            await login.wait()

    async def program(client: Client) -> None:
        async with client.login_device_code():
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await wait(client)
        task = asyncio.create_task(wait(client))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with AppServer(path, {"account/login/start": start(), "account/login/cancel": CANCEL}) as server:
        run(path, program)
        assert server.methods.count("account/login/cancel") == server.methods.count("account/login/start") == 3


def test_a_login_that_was_cancelled_while_it_started_does_not_live_on(path: Path) -> None:
    """The answer to a start that nobody waits for any more is met with a cancel."""
    is_left = threading.Event()

    def answer(params: Message) -> Then:
        assert is_left.wait(10)
        return begin(STARTED)

    async def program(client: Client) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), client.login_device_code():
                raise AssertionError("it cannot have begun")
        is_left.set()
        await client.call("account/read")

    script: Script = {
        "account/login/start": answer,
        "account/login/cancel": CANCEL,
        "account/read": {"account": None},
    }
    with AppServer(path, script) as server:
        run(path, program)
        assert server.params("account/login/cancel") == {"loginId": LOGIN_ID}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Raw(b"", hang_up=True), "closed the connection"),
        (Raw(b"hello\n"), "not JSON; is it an accountd?"),
        (Raw(b"[1]\n"), "none of the protocol's"),
        (Raw(b'{"id": null, "error": {"message": "malformed"}}\n'), "could not read what it was sent: malformed"),
    ],
)
def test_all_who_wait_are_told_of_a_connection_that_is_lost(path: Path, said: Raw, why: str) -> None:
    """Calls, a login and a follower; and whoever asks later. What was heard before is not lost."""

    async def program(client: Client) -> None:
        followed = client.notifications()
        async with client.login_device_code() as login:
            with pytest.raises(ConnectionLost, match=why):
                await client.call("account/read")
            with pytest.raises(ConnectionLost, match=why):
                await login.wait()
        assert [(await anext(followed)).method for _ in range(2)] == ["account/login/progress", "account/updated"]
        for follower in (followed, followed, client.notifications()):
            with pytest.raises(ConnectionLost, match=why):
                await anext(follower)
        with pytest.raises(ConnectionLost, match=why):
            await client.call("account/read")

    script: Script = {"account/login/start": start(("account/updated", UPDATED)), "account/read": said}
    with AppServer(path, script):
        run(path, program)


def test_notifications_come_in_order(path: Path) -> None:
    """From the moment on at which one begins to follow."""

    async def program(client: Client) -> list[Notification]:
        followed = client.notifications()
        await client.call("account/read")
        return [await anext(followed) for _ in range(2)]

    told: tuple[tuple[str, Message], ...] = (("account/updated", UPDATED), ("account/token/changed", {}))
    with AppServer(path, {"account/read": Then({"account": None}, told)}):
        assert run(path, program) == [Notification(*each) for each in told]


def test_what_does_not_answer_is_no_daemon(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is silent, and none at all."""
    monkeypatch.setattr("accountd.client.aio.CONNECT_TIMEOUT", 0.05)

    async def nothing(client: Client) -> None:
        raise AssertionError("there is none")

    with AppServer(path, greeting=Raw(b"")), pytest.raises(CallTimedOut, match=r"within 0\.05 seconds"):
        run(path, nothing)
    with pytest.raises(NothingListens):
        run(path, nothing)
