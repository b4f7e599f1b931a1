"""What can be cancelled, and by what: THE table of the operations and of what happens to each in its middle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import trio

from accountd.config.settings import DEFAULT_CLIENT_ID
from accountd.errors import InvalidRequest, RefreshError
from accountd.login.browser import BrowserFlow
from accountd.login.device_code import DeviceCodeFlow
from accountd.protocol.account import BrowserLogin, ExternalTokensLogin
from accountd.protocol.sessions import AccountSessionsSwitchParams
from accountd.sandbox import Script, Workspace
from accountd.sandbox.state import Grant
from accountd.secret import Secret
from fakes.world import ISSUER
from model.clients import Left

if TYPE_CHECKING:
    from cancellation.scene import Scene

KEY: Final = Secret("sk-1")

PATIENCE: Final = 600.0
"""Seconds that a client waits for what somebody else may have made impossible."""


def ignore(_: object) -> None:
    """Take a reply."""


# operations


async def start_device_login(scene: Scene) -> None:
    """Begin a login with a code."""
    await scene.world.logins.start(DeviceCodeFlow(scene.world.services.issuer), ignore)


async def log_in_with_a_code(scene: Scene) -> None:
    """Log in with a code, to the end."""
    await start_device_login(scene)
    await wait_end(scene)


async def log_in_with_a_browser(scene: Scene) -> None:
    """Log in with a browser, which comes back by the address that the person pastes."""
    flow = BrowserFlow(scene.world.services.issuer, originator="tests", workspaces=(), wishes=BrowserLogin())
    await scene.world.logins.start(flow, ignore)
    come_back(scene)
    await wait_end(scene)


async def log_in_with_a_browser_that_comes(scene: Scene) -> None:
    """Log in with a browser that comes to the port, and is shown how it was."""
    flow = BrowserFlow(scene.world.services.issuer, originator="tests", workspaces=(), wishes=BrowserLogin())
    await scene.world.logins.start(flow, ignore)
    host, _, target = answer_to(scene).removeprefix("http://").partition("/")
    with suppress(OSError, trio.BrokenResourceError):  # the login may have ended
        async with await trio.open_tcp_stream("127.0.0.1", int(host.partition(":")[2])) as stream:
            await stream.send_all(f"GET /{target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            while await stream.receive_some():
                pass
    await wait_end(scene)


def answer_to(scene: Scene) -> str:
    """Give the address to which the browser of the newest login is sent when its person approves."""
    url = scene.history.browser[scene.history.started[-1]]
    query = dict(pair.split("=", 1) for pair in url.partition("?")[2].split("&"))
    redirect = query["redirect_uri"].replace("%3A", ":").replace("%2F", "/")
    code = scene.world.sandbox._state.issue_code(query["client_id"], redirect, query["code_challenge"])
    return f"{redirect}?code={code.reveal()}&state={query['state']}"


def come_back(scene: Scene) -> None:
    """Answer the newest browser login, if it still waits for that."""
    with suppress(InvalidRequest):
        scene.world.logins.submit_callback(scene.history.started[-1], answer_to(scene))


async def wait_end(scene: Scene) -> None:
    """Wait for the end of the newest login, as one who looks now and then."""
    login = scene.world.logins._logins.get(scene.history.started[-1])
    if login is not None:
        await login.ended.wait()


async def log_in_with_a_key(scene: Scene) -> None:
    """Log in with an API key."""
    await scene.world.logins.start_api_key(KEY, ignore)


async def supply_tokens(scene: Scene) -> None:
    """Have a client bring its own tokens."""

    async def ask(_: object) -> Any:
        raise AssertionError("nobody has refused them")

    tokens = scene.world.sandbox._state.issue_tokens(Grant(DEFAULT_CLIENT_ID), ISSUER)
    given = ExternalTokensLogin(tokens.access_token.reveal(), "account-sandbox")
    await scene.world.logins.start_external(given, ask, ignore)


async def refresh(scene: Scene) -> None:
    """Refresh, for three callers at once."""

    async def call() -> None:
        with suppress(RefreshError):
            await scene.world.refresher.refresh("forced")

    await scene.call_together(call, call, call)


async def switch(scene: Scene) -> None:
    """Use the other one of the person's two workspaces."""
    login = scene.world.credential.managed_login
    script = scene.world.sandbox.script
    scene.world.sandbox.script = msgspec.structs.replace(script, workspaces=(Workspace(account_id="account-acme"),))
    session, there = (login.session_id, login.account_id) if login is not None else (None, None)
    other = "account-acme" if there == "account-sandbox" else "account-sandbox"
    await scene.world.account.workspaces.switch(
        AccountSessionsSwitchParams(session or "", other),
        ignore,
        originator="tests",
        is_login_under_way=lambda: bool(scene.world.logins.under_way()),
    )


async def log_out(scene: Scene) -> None:
    """Log out, here and at the issuer, as the handlers do."""
    await scene.world.logins.cancel_all()
    await scene.world.account.log_out(announce=lambda: None)


async def log_out_in_the_middle_of_a_login(scene: Scene) -> None:
    """Log out while a login is under way."""
    await start_device_login(scene)
    await log_out(scene)


async def talk(scene: Scene, *, websocket: bool) -> None:
    """Be a client that does all that it may, and asks the last before it has heard of the first."""
    with suppress(Left), trio.move_on_after(PATIENCE):
        client = await scene.connect(websocket=websocket, extension=True)
        await client.ask("account/login/start", {"type": "chatgptDeviceCode"})
        await client.hear("account/updated")
        await client.send("account/read", {"refreshToken": True})
        await client.send("account/login/start", {"type": "chatgptDeviceCode"})
        await client.send("account/read", {"refreshToken": True})
        await client.ask("account/logout")
        client.leave()


async def stop(scene: Scene) -> None:
    """Stop the daemon as at a first signal, in the middle of as much as can be."""
    with suppress(Left):
        one, other = [await scene.connect(websocket=websocket) for websocket in (False, True)]
        await one.send("account/login/start", {"type": "chatgptDeviceCode"})
        await other.send("account/read", {"refreshToken": True})
        await other.send("account/logout")
        await one.send("account/login/start", {"type": "apiKey", "apiKey": "sk-1"})
        scene.accepting.cancel()
        await trio.sleep_forever()


# what happens to them


def cancel_newest(scene: Scene) -> None:
    """Have somebody cancel the newest login."""
    if scene.history.started:
        scene.act("cancel", partial(scene.world.logins.cancel, scene.history.started[-1]))


def both_signals(scene: Scene) -> None:
    """End as at a second signal."""
    scene.accepting.cancel()
    scene.staying.cancel()


def shut(scene: Scene) -> None:
    """Begin no login any more, and end those there are, while everything else goes on."""
    scene.act("shut", scene.world.logins.shut)


def leave(scene: Scene, *, half: bool = False) -> None:
    """Have the newest client leave."""
    for client in scene.clients[-1:]:
        client.leave(half=half)


def cut(scene: Scene) -> None:
    """End every connection as one is ended that does not read."""
    for connection in scene.server._connections:
        connection._cut()


Happening = Callable[["Scene"], None]

ENDS: Final[dict[str, Happening]] = {
    "its caller is cancelled": lambda scene: scene.caller.cancel(),
    "the first signal": lambda scene: scene.accepting.cancel(),
    "the second signal": both_signals,
    "everything is cancelled": lambda scene: scene.everything.cancel(),
}
"""What can happen to anything."""

OTHERS: Final[dict[str, Happening]] = {
    "the login is cancelled": cancel_newest,
    "another login begins": lambda scene: scene.act("start", lambda: start_device_login(scene)),
    "a key is given": lambda scene: scene.act("key", lambda: log_in_with_a_key(scene)),
    "tokens are supplied": lambda scene: scene.act("external", lambda: supply_tokens(scene)),
    "somebody logs out": lambda scene: scene.act("logout", lambda: log_out(scene)),
    "somebody refreshes": lambda scene: scene.act("refresh", lambda: refresh(scene)),
    "somebody switches": lambda scene: scene.act("switch", lambda: switch(scene)),
    "no login may begin": shut,
}
"""What others may do meanwhile."""

LEAVING: Final[dict[str, Happening]] = {
    "the client leaves": leave,
    "the client sends no more": partial(leave, half=True),
    "the connection is cut": cut,
    "the server drains": lambda scene: scene.server.drain(),
}
"""What can happen to a connection."""


class Operation(NamedTuple):
    """Something that can be cancelled. `script` is the issuer's."""

    run: Callable[[Scene], Awaitable[None]]
    happenings: dict[str, Happening]
    script: Script = Script(approve_after_polls=1)


OPERATIONS: Final[dict[str, Operation]] = {
    "a login with a code": Operation(log_in_with_a_code, ENDS | OTHERS),
    "a login with a browser": Operation(log_in_with_a_browser, ENDS | OTHERS),
    "a login with a browser that comes": Operation(log_in_with_a_browser_that_comes, ENDS | OTHERS),
    "a login with a key": Operation(log_in_with_a_key, ENDS | OTHERS),
    "tokens of a client": Operation(supply_tokens, ENDS | OTHERS),
    "a refresh": Operation(
        refresh, ENDS | OTHERS | {"one of its callers is cancelled": lambda scene: scene.callers[0].cancel()}
    ),
    "a switch": Operation(switch, ENDS | OTHERS),
    "a logout": Operation(log_out, ENDS | OTHERS),
    "a logout in a login": Operation(log_out_in_the_middle_of_a_login, ENDS | OTHERS),
    "a connection of lines": Operation(partial(talk, websocket=False), ENDS | OTHERS | LEAVING),
    "a WebSocket": Operation(partial(talk, websocket=True), ENDS | OTHERS | LEAVING),
    "a stop": Operation(stop, ENDS | OTHERS | LEAVING),
}
