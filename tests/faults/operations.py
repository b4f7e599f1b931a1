"""What a client asks for that needs the issuer or the backend: each with the request that may go wrong.

An operation is made ready without a fault, and then run; it gives the error that a client was told, or None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import trio

from accountd.backend.client import EXCHANGE_TIMEOUT
from accountd.config.settings import DEFAULT_CLIENT_ID
from accountd.login.browser import BrowserFlow
from accountd.oauth.claims import parse_claims
from accountd.protocol.account import BrowserLogin
from accountd.sandbox import Script
from accountd.sandbox.script import Claims, Fault, Workspace
from accountd.storage.base import Provenance, chatgpt_record
from accountd.web import http

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.storage.base import AuthRecord
    from fakes.client import Client
    from fakes.world import World
    from faults.network import Network

TOKEN = "/oauth/token"
BACKEND = "/backend-api/wham"
BUNDLE = f"{BACKEND}/config/bundle"
HOUR = 3600.0


class Bench(NamedTuple):
    """What an operation works with. `client` is one of the extension's."""

    world: World
    network: Network
    client: Client

    async def ask(self, method: str, params: object = None) -> dict[str, Any]:
        """Call, and give the answer; what is heard before it is put aside."""
        await self.client.send({"id": "ask", "method": method, "params": params})
        while (message := await self.client.receive()).get("id") != "ask":
            pass
        return message

    async def try_to(self, method: str, params: object = None) -> str | None:
        """Call, and give the text of the error."""
        answer = await self.ask(method, params)
        error: str | None = answer.get("error", {}).get("message")
        return error

    async def complete(self, login_id: str) -> str | None:
        """Wait for the end of a login, and give its error."""
        completion = await self.world.wait_completion(login_id)
        error: str | None = completion["error"]
        assert completion["success"] is (error is None)
        return error

    async def log_in(self) -> None:
        """Have somebody logged in."""
        await self.world.services.accounts.log_in(logged_in_record(self.world), announce=lambda: None)


def logged_in_record(world: World) -> AuthRecord:
    """Make the record of somebody who has just logged in; the issuer knows its tokens."""
    tokens = world.sandbox.issue_tokens(DEFAULT_CLIENT_ID)
    provenance = Provenance(world.services.issuer.url, DEFAULT_CLIENT_ID)
    return chatgpt_record(tokens, parse_claims(tokens.id_token), provenance, 1_800_000_000_000_000_000)


async def _nothing(bench: Bench) -> None:
    await trio.lowlevel.checkpoint()


async def _log_in(bench: Bench) -> None:
    await bench.log_in()


async def _grow_old(bench: Bench) -> None:
    await bench.log_in()
    await trio.sleep(HOUR / 10)


async def _start_device_login(bench: Bench) -> str | None:
    answer = await bench.ask("account/login/start", {"type": "chatgptDeviceCode"})
    if "error" in answer:
        return str(answer["error"]["message"])
    await bench.ask("account/login/cancel", {"loginId": answer["result"]["loginId"]})
    return None


async def _poll(bench: Bench) -> str | None:
    """Have the network back after a while: a login that waits goes on, if what it heard was no answer."""
    fault, bench.network.fault = bench.network.fault, None
    login_id = (await bench.ask("account/login/start", {"type": "chatgptDeviceCode"}))["result"]["loginId"]
    bench.network.fault = fault
    await trio.sleep(100)
    bench.network.fault = None
    return await bench.complete(login_id)


async def _exchange_device_code(bench: Bench) -> str | None:
    fault, bench.network.fault = bench.network.fault, None
    if fault is not None:
        bench.network.arm(fault, "/api/accounts/deviceauth/token")
    login_id = (await bench.ask("account/login/start", {"type": "chatgptDeviceCode"}))["result"]["loginId"]
    return await bench.complete(login_id)


async def _exchange_browser_code(bench: Bench) -> str | None:
    flow = BrowserFlow(
        bench.world.services.issuer, originator="tests", workspaces=(), wishes=BrowserLogin(), ports=(0,)
    )
    replies: list[Any] = []
    await bench.world.logins.start(flow, replies.append)
    back = await bench.world.sandbox.authorize(replies[0].auth_url)
    bench.world.logins.submit_callback(replies[0].login_id, back)
    return await bench.complete(replies[0].login_id)


async def _log_in_with_requirements(bench: Bench) -> str | None:
    """Have the backend asked after the exchange, when the fault begins."""
    fault, bench.network.fault = bench.network.fault, None
    bundle = {"toml": None, "toml_signature": None}
    claims = Claims(plan="enterprise")
    good = tuple(Fault(BUNDLE, n, 200, bundle) for n in range(1, 20))
    bench.world.sandbox.script = Script(approve_after_polls=0, claims=claims, faults=good)
    if fault is not None:
        bench.network.arm(fault, TOKEN)
    login_id = (await bench.ask("account/login/start", {"type": "chatgptDeviceCode"}))["result"]["loginId"]
    return await bench.complete(login_id)


async def _read_token(bench: Bench) -> str | None:
    return await bench.try_to("account/token/read", {"minValidSeconds": int(HOUR * 0.95)})


async def _switch(bench: Bench) -> str | None:
    """Have the fault begin when the workspaces are known: with the exchange of the token."""
    fault, bench.network.fault = bench.network.fault, None
    acme = Workspace(account_id="account-acme")
    bench.world.sandbox.script = msgspec.structs.replace(bench.world.sandbox.script, workspaces=(acme,))
    login = bench.world.credential.login
    assert login is not None
    if fault is not None:
        bench.network.arm(fault, f"{BACKEND}/accounts/check")
    there = {"sessionId": login.session_id, "accountId": "account-acme"}
    return await bench.try_to("accountSession/switch", there)


async def _log_out(bench: Bench) -> str | None:
    return await bench.try_to("account/logout")


def _call(method: str, params: object = None) -> Callable[[Bench], Awaitable[str | None]]:
    async def call(bench: Bench) -> str | None:
        return await bench.try_to(method, {} if params is None else params)

    return call


class Operation(NamedTuple):
    """`error` begins what a client is told; `within` is its deadline, in seconds.

    One that `forgives` goes well without an answer; of an account, what is known is told.
    """

    prepare: Callable[[Bench], Awaitable[None]]
    run: Callable[[Bench], Awaitable[str | None]]
    error: str
    within: float = http.REQUEST_TIMEOUT
    forgives: bool = False


OPERATIONS = {
    "start a device login": Operation(_nothing, _start_device_login, "failed to request device code: "),
    "poll": Operation(_log_in, _poll, "", within=200.0, forgives=True),
    "exchange a device code": Operation(
        _log_in, _exchange_device_code, "device code exchange failed: ", within=http.REQUEST_TIMEOUT + 2
    ),
    "exchange a browser's code": Operation(
        _log_in, _exchange_browser_code, "Login server error: Token exchange failed: "
    ),
    "log in with requirements": Operation(
        _log_in, _log_in_with_requirements, "failed to load workspace requirements", within=25.0
    ),
    "refresh": Operation(_grow_old, _read_token, "", within=30.0),
    "switch": Operation(_log_in, _switch, "", within=EXCHANGE_TIMEOUT),
    "log out": Operation(_log_in, _log_out, "", within=10.0, forgives=True),
    "read the account": Operation(_log_in, _call("account/read"), "", within=15.0, forgives=True),
    "read rate limits": Operation(_log_in, _call("account/rateLimits/read"), "failed to fetch codex rate limits: "),
    "read usage": Operation(_log_in, _call("account/usage/read"), "", within=10.0),
    "read messages": Operation(_log_in, _call("account/workspaceMessages/read"), "", within=1.0),
}
"""By their names, which are those of the tests."""


def is_good(bench: Bench) -> bool:
    """Say whether what is stored can still be used."""
    record = getattr(bench.world.store, "record", None)
    return record is not None and is_good_record(bench.world, record)


def is_good_record(world: World, record: AuthRecord) -> bool:
    """Say whether a login can be refreshed: nobody has spent or revoked it."""
    assert record.chatgpt is not None
    found = world.sandbox._state.find_refresh_token(record.chatgpt.tokens.refresh_token)
    return found is not None and not found.spent and not found.grant.revoked


SCRIPT = Script(approve_after_polls=0, authorize="approve")
"""What the sandbox does when nothing goes wrong."""


def undo(bench: Bench) -> None:
    """Have nothing go wrong any more."""
    bench.network.fault = None
    bench.world.sandbox.script = msgspec.structs.replace(SCRIPT)
