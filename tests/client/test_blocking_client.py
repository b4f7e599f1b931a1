"""The blocking client's methods and logins, against a scripted server: what is asked, and what comes of it."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from accountd.client.blocking import BrowserLogin, Client, DeviceCodeLogin, connect
from accountd.client.errors import (
    CallFailed,
    CallTimedOut,
    ConnectionLost,
    Interrupted,
    LoginFailed,
    NothingListens,
)
from fakes.app_server import AppServer, Message, Raw, Refusal, Then, begin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ID = "4739e968-e2f9-497c-bf76-2d4cb9ca6b34"
OTHER = "00000000-0000-4000-8000-000000000000"
STARTED = {
    "chatgptDeviceCode": {
        "type": "chatgptDeviceCode",
        "loginId": ID,
        "verificationUrl": "https://issuer.test/device",
        "userCode": "AAAA-BBBBB",
    },
    "chatgpt": {"type": "chatgpt", "loginId": ID, "authUrl": "https://issuer.test/authorize"},
}


def completed(*, success: bool, error: str | None = None, login_id: str = ID) -> tuple[str, Message]:
    """Make the notification of a login's end."""
    reason = {} if success else {"accountd": {"reason": "loginDenied"}}
    return "account/login/completed", {"loginId": login_id, "success": success, "error": error, **reason}


def start(*told: tuple[str, Message]) -> Callable[[Message], Then]:
    """Answer the start of a login of either kind, then tell its progress, and these."""
    return lambda params: begin(STARTED[params["type"]], *told)


CANCEL: Message = {"status": "canceled"}


@pytest.mark.parametrize(
    ("ask", "method", "params"),
    [
        (lambda c: c.read_account(), "account/read", {"refreshToken": False}),
        (lambda c: c.read_account(refresh=True), "account/read", {"refreshToken": True}),
        (lambda c: c.read_token(), "account/token/read", {"minValidSeconds": 300}),
        (lambda c: c.read_token(min_valid=5), "account/token/read", {"minValidSeconds": 5}),
        (lambda c: c.read_auth_status(), "getAuthStatus", {}),
        (lambda c: c.read_store(), "account/store/read", {}),
        (lambda c: c.read_status(), "accountd/status", {}),
        (lambda c: c.read_rate_limits(), "account/rateLimits/read", {}),
        (lambda c: c.read_usage(), "account/usage/read", {"threadId": None}),
        (lambda c: c.read_usage("t"), "account/usage/read", {"threadId": "t"}),
        (lambda c: c.list_accounts(), "accountd/accounts/list", {"refreshWorkspaces": False}),
        (lambda c: c.switch_account("a"), "accountd/accounts/switch", {"account": "a"}),
    ],
)
def test_a_method_asks_and_gives_the_result(
    path: Path, ask: Callable[[Client], Any], method: str, params: Message
) -> None:
    """The params are those of the protocol, and the result is what came."""
    with AppServer(path, {method: {"some": "thing"}}) as server, connect(path, start=False) as client:
        assert ask(client) == {"some": "thing"}
        assert server.params(method) == params


def test_the_methods_without_a_result(path: Path) -> None:
    """A logout revokes unless it is told not to; a key goes where it belongs; logins are listed and cancelled."""
    script: dict[str, Any] = {
        "account/logout": {},
        "account/forget": {},
        "account/login/start": {"type": "apiKey"},
        "account/login/list": {"logins": []},
        "account/login/cancel": {"status": "notFound"},
    }
    with AppServer(path, script) as server, Client(path) as client:
        client.logout()
        client.logout(revoke=False)
        client.login_api_key("sk-test")
        assert client.list_logins() == []
        assert not client.cancel_login(ID)
        assert server.methods == list(script)
        assert server.params("account/login/start") == {"type": "apiKey", "apiKey": "sk-test"}


def test_connect_finds_the_socket_of_the_environment(path: Path) -> None:
    """Without a path it is the one that the verbs use; with nothing there, and no wish to start, an error."""
    with AppServer(path, {"ping": {}}), connect(start=False) as client:
        client.call("ping")
    with pytest.raises(NothingListens):
        connect(start=False)


def test_a_device_login_is_shown_and_waited_for(path: Path) -> None:
    """Page, code and expiry are there at once; `wait` ends with this login's completion, not with another's."""
    told = (completed(success=False, error="no", login_id=OTHER), completed(success=True))
    with AppServer(path, {"account/login/start": start(*told)}) as server, Client(path) as client:
        with client.login_device_code() as login:
            assert isinstance(login, DeviceCodeLogin)
            assert (login.id, login.url, login.code) == (ID, "https://issuer.test/device", "AAAA-BBBBB")
            assert (login.expires_at, login.lifetime) == (1_800_000_900.0, 900.0)
            login.wait()
            login.wait()
        assert server.methods == ["account/login/start"]
        kept = client.next_notification(0)
        assert kept is not None
        assert kept.params["loginId"] == OTHER


def test_a_browser_login_takes_a_pasted_address(path: Path) -> None:
    """What the person pastes is handed in with the login's id; a refusal is raised and the login goes on."""
    answers = iter([Refusal(-32600, "This is not the address"), {}])
    script: dict[str, Any] = {
        "account/login/start": start(),
        "account/login/submitCallback": lambda _: next(answers),
        "account/login/cancel": CANCEL,
    }
    with AppServer(path, script) as server, Client(path) as client, client.login_browser() as login:
        assert isinstance(login, BrowserLogin)
        assert login.url == "https://issuer.test/authorize"
        with pytest.raises(CallFailed, match="This is not the address"):
            login.submit_callback("hello")
        login.submit_callback("http://127.0.0.1:1455/auth/callback?code=x")
        assert server.params("account/login/submitCallback") == {
            "loginId": ID,
            "callbackUrl": "http://127.0.0.1:1455/auth/callback?code=x",
        }


def test_leaving_the_block_cancels_the_login(path: Path) -> None:
    """Whether it ends or an exception leaves it, a login that has not been seen to end is cancelled."""
    script: dict[str, Any] = {"account/login/start": start(), "account/login/cancel": CANCEL}
    with AppServer(path, script) as server, Client(path) as client:
        with client.login_device_code():
            pass
        with pytest.raises(ZeroDivisionError), client.login_browser():
            raise ZeroDivisionError
        assert server.methods == ["account/login/start", "account/login/cancel"] * 2
        assert server.params("account/login/cancel") == {"loginId": ID}


def test_a_login_that_fails_says_why(path: Path) -> None:
    """`wait` raises what the daemon says, each time, and the block does not cancel what is over."""
    told = completed(success=False, error="device auth was denied")
    with AppServer(path, {"account/login/start": start(told)}) as server, Client(path) as client:
        with client.login_device_code() as login:
            for _ in range(2):
                with pytest.raises(LoginFailed, match="device auth was denied") as raised:
                    login.wait()
                assert raised.value.reason == "loginDenied"
        assert server.methods == ["account/login/start"]


def test_a_wait_that_is_over_leaves_the_login(path: Path) -> None:
    """When its time is over `wait` raises, and can be called again."""
    script: dict[str, Any] = {"account/login/start": start(), "account/login/cancel": CANCEL}
    with AppServer(path, script) as server, Client(path) as client, client.login_device_code() as login:
        with pytest.raises(CallTimedOut):
            login.wait(timeout=0)
        server.notify(*completed(success=True))
        login.wait()


def test_each_step_is_told_to_who_waits(path: Path) -> None:
    """In order, and before the end."""
    steps = [("account/login/progress", {"loginId": ID, "state": state}) for state in ("exchanging", "committing")]
    told: list[Any] = []
    with AppServer(path, {"account/login/start": start(*steps, completed(success=True))}), Client(path) as client:
        with client.login_device_code() as login:
            login.wait(progressed=told.append)
    assert [step["state"] for step in told] == ["exchanging", "committing"]


def test_a_start_that_is_interrupted_leaves_no_login(path: Path) -> None:
    """One that begins after all is cancelled by its id; and the connection can still be used."""
    readable, writable = socket.socketpair()
    script: dict[str, Any] = {"account/login/start": None, "account/login/cancel": CANCEL, "ping": {}}
    with readable, writable, AppServer(path, script) as server, Client(path) as client:

        def begin_late() -> None:
            server.wait_for("account/login/start")
            writable.send(b"!")
            server.send(json.dumps({"id": 2, "result": STARTED["chatgpt"]}).encode() + b"\n")

        client.interrupt = readable
        thread = threading.Thread(target=begin_late)
        thread.start()
        with pytest.raises(Interrupted):
            client.login_browser()
        thread.join()
        assert server.params("account/login/cancel") == {"loginId": ID}
        assert client.interrupt is readable
        client.interrupt = None
        assert client.call("ping") == {}


def test_a_daemon_that_goes_is_told(path: Path) -> None:
    """A connection that ends during a login is raised as that, and leaving the block adds nothing to it."""
    script: dict[str, Any] = {"account/login/start": start(), "go": Raw(b"", hang_up=True)}

    def log_in(client: Client) -> None:
        with client.login_device_code() as login:
            client.send("go")
            login.wait()

    with AppServer(path, script), Client(path) as client, pytest.raises(ConnectionLost):
        log_in(client)
