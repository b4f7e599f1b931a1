"""Everything that a client can hear, heard: by one that uses each method, and each way to log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from accountd.protocol.methods import METHODS
from accountd.sandbox import Fault, Script, Workspace
from accountd.server.token_socket import TokenSocket
from accountd.server.token_socket_holder import TokenSocketHolder
from fakes.client import Client, open_client
from fakes.world import open_world

if TYPE_CHECKING:
    from pathlib import Path

CHECK = "/backend-api/wham/accounts/check"
PARAMS: dict[str, Any] = {
    "account/rateLimitResetCredit/consume": {"idempotencyKey": "once"},
    "account/sendAddCreditsNudgeEmail": {"creditType": "credits"},
    "accountSession/list": {"refreshWorkspaceMetadata": True},
    "accountd/appServer/report": {
        "pid": 1,
        "sockets": ["/s"],
        "agents": [{"pid": 2, "version": "0.171.0", "authMode": "chatgpt"}],
    },
    "accountd/tokenSocket/open": {"path": "/box/s"},
}
READS = (
    METHODS.keys()
    - {"initialize", "account/login/cancel", "account/login/submitCallback", "accountSession/switch"}
    - {"account/login/start", "account/logout", "account/forget", "accountd/pins/write"}
    - {f"accountd/accounts/{change}" for change in ("select", "switch", "rename", "remove", "import")}
)
"""What can be called at any time, and changes nothing that others would see."""


class Heard(NamedTuple):
    """A message, and the part of it that is the method's own: a result, or params."""

    method: str
    body: Any
    message: dict[str, Any]


class Talker:
    """A client that waits for each of its answers, and answers itself with `tokens`."""

    def __init__(self, client: Client, tokens: dict[str, str]) -> None:
        self._client = client
        self._tokens = tokens
        self.results: list[Heard] = []
        self.notifications: list[Heard] = []
        self.questions: list[Heard] = []

    async def call(self, method: str, params: Any) -> Any:
        """Call, and give the result."""
        await self._client.send({"id": 1, "method": method, "params": params})
        while "method" in (message := await self._client.receive()):
            await self._note(message)
        self.results.append(Heard(method, message["result"], message))
        return message["result"]

    async def hear(self, method: str) -> Any:
        """Wait for such a notification, and give its params."""
        while (message := await self._client.receive())["method"] != method:
            await self._note(message)
        await self._note(message)
        return message["params"]

    async def _note(self, message: dict[str, Any]) -> None:
        heard = Heard(message["method"], message["params"], message)
        if "id" not in message:
            self.notifications.append(heard)
        else:
            self.questions.append(heard)
            await self._client.send({"id": message["id"], "result": self._tokens})


async def hold_conversation() -> Talker:
    """Give one who has heard it all. Needs trio's clock to jump."""
    others = (Workspace(account_id="account-acme"), Workspace(account_id="account-bank", sign_in=True))
    async with open_world(Script(approve_after_polls=1, workspaces=others)) as world:
        services = msgspec.structs.replace(
            world.services, token_sockets=TokenSocketHolder(None, _make_token_socket)
        )
        async with open_client(services, initialize=False) as client:
            token = world.sandbox.issue_tokens().access_token.reveal()
            tokens = {"accessToken": token, "chatgptAccountId": "account-sandbox"}
            talker = Talker(client, tokens)
            capabilities = {"experimentalApi": True, "extensions": {"accountd": {}}}
            info = {"name": "a talker", "version": "1"}
            await talker.call("initialize", {"clientInfo": info, "capabilities": capabilities})
            await talker.call("account/read", {})
            await talker.call("account/login/start", {"type": "apiKey", "apiKey": "sk"})
            await talker.hear("account/updated")
            await talker.call("account/read", {})

            await talker.call("account/login/start", {"type": "chatgptDeviceCode"})
            await talker.hear("account/updated")
            for method in sorted(READS):
                await talker.call(method, PARAMS.get(method, {}))
            await use_two_accounts(talker)
            [session] = (await talker.call("accountSession/list", {}))["sessions"]
            there = {"sessionId": session["sessionId"], "accountId": "account-acme"}
            await talker.call("accountSession/switch", there)
            there |= {"accountId": "account-bank", "allowBrowserLogin": True}
            await talker.call("accountSession/switch", there)
            await talker.call("account/forget", None)
            await talker.hear("account/updated")

            started = await talker.call("account/login/start", {"type": "chatgptDeviceCode"})
            await talker.call("account/login/cancel", {"loginId": started["loginId"]})
            started = await talker.call("account/login/start", {"type": "chatgpt"})
            denied = {"loginId": started["loginId"], "callbackUrl": _denied(started["authUrl"])}
            await talker.call("account/login/submitCallback", denied)
            await talker.hear("account/login/completed")

            world.sandbox.script = Script(faults=(Fault(CHECK, 1, 401),))  # so that it is asked for others
            await talker.call("account/login/start", {"type": "chatgptAuthTokens", **tokens})
            await talker.hear("account/updated")
            await talker.call("account/read", {})
            await talker.call("account/logout", None)
            await talker.hear("account/updated")
            return talker


async def use_two_accounts(talker: Talker) -> None:
    """Name the account of the key, mean it, use it and remove it; the other is active before and after."""
    key, person = (await talker.call("accountd/accounts/list", {}))["accounts"]
    await talker.call("accountd/accounts/rename", {"account": key["id"], "alias": "ci"})
    await talker.call("accountd/pins/write", {"folder": "/srv", "account": "ci"})
    await talker.call("accountd/accounts/select", {"account": "ci"})
    await talker.call("accountd/accounts/select", {"account": None})
    await talker.call("accountd/accounts/switch", {"account": "ci"})
    await talker.call("accountd/accounts/switch", {"account": person["id"]})
    await talker.call("accountd/accounts/remove", {"account": "ci"})
    await talker.call("accountd/accounts/import", {"path": "/nonexistent", "dryRun": True})


def _make_token_socket(path: Path) -> TokenSocket:
    """Make one that nobody opens, and for which nobody waits."""
    made = TokenSocket(path)
    made.tried.set()
    return made


def _denied(url: str) -> str:
    """Make the address where a browser ends whose person does not want to log in."""
    query = parse_qs(urlsplit(url).query)
    return f"{query['redirect_uri'][0]}?{urlencode({'error': 'access_denied', 'state': query['state'][0]})}"
