"""A usage service, and the backend that it asks, which answers as its test says."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import msgspec
import trio

from accountd.account.usage import UsageService
from accountd.backend.client import Backend
from accountd.oauth.claims import parse_claims
from accountd.oauth.tokens import TokenSet
from accountd.secret import Secret
from accountd.storage.base import AuthRecord, ChatgptLogin
from accountd.storage.memory import MemoryStore
from accountd.web.http import HttpClient, Way
from fakes.world import open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fakes.world import World

NOW = 1_800_000_000
USAGE, RESETS, CONSUME = "/wham/usage", "/wham/rate-limit-reset-credits", "/wham/rate-limit-reset-credits/consume"
PROFILE, THREADS = "/wham/profiles/me", "/wham/usage/thread_usage/query"
MESSAGES, NUDGE = "/wham/workspace-messages", "/wham/accounts/send_add_credits_nudge_email"
SECURITY, ACCOUNTS = "/wham/security-setup", "/wham/accounts/check"

OWN_USAGE = {
    "plan_type": "pro",
    "account_id": "acct-1",
    "user_id": "user-1",
    "rate_limit": {"allowed": True},
    "rate_limit_reset_credits": {"available_count": 2},
    "rate_limit_upsell": {"a_b": 1},
}


def make_jwt(**auth: object) -> Secret:
    """Make a token with these claims of the account."""
    claims = {
        "chatgpt_account_id": "acct-1",
        "chatgpt_plan_type": "pro",
        "chatgpt_user_id": "user-1",
        "chatgpt_account_is_fedramp": False,
    }
    payload = {
        "email": "ada@example.com",
        "exp": NOW + 3600,
        "https://api.openai.com/auth": {k: v for k, v in (claims | auth).items() if v is not None},
    }
    middle = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return Secret(f"e30.{middle}.c2ln")


def make_record(account_id: str | None = "acct-1", owner: str | None = "owner-1", **auth: object) -> AuthRecord:
    """Make a stored ChatGPT login."""
    token = make_jwt(**auth)
    tokens = TokenSet(token, token, Secret("r"))
    return AuthRecord("chatgpt", chatgpt=ChatgptLogin(tokens, parse_claims(token), account_id, owner))


def make_opaque_record() -> AuthRecord:
    """Make a ChatGPT login whose tokens are no JWTs any more, as an issuer may have it."""
    tokens = TokenSet(Secret("opaque"), Secret("opaque"), Secret("r"))
    return AuthRecord("chatgpt", chatgpt=ChatgptLogin(tokens, parse_claims(make_jwt()), "acct-1"))


class Server:
    """The backend's server: an answer, or an error's status, for each path. `seen` has what arrived.

    `delays` are seconds; `meanwhile` is called while an answer is on its way.
    """

    def __init__(self, **answers: object) -> None:
        self.answers: dict[str, object] = dict(answers)
        self.delays: dict[str, float] = {}
        self.seen: list[httpx.Request] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer, in its own time."""
        self.seen.append(request)
        path = request.url.path.removeprefix("/backend-api")
        await trio.sleep(self.delays.get(path, 0))
        if self.meanwhile is not None:
            await self.meanwhile()
        answer = self.answers.get(path, 404)
        if isinstance(answer, int):
            return httpx.Response(answer, json={"error": "no"})
        return httpx.Response(200, json=answer)

    def paths(self) -> list[str]:
        """Give what was asked for."""
        return [request.url.path.removeprefix("/backend-api") for request in self.seen]


class Scene:
    """A service and what is around it."""

    def __init__(self, service: UsageService, server: Server, world: World) -> None:
        self.service, self.server, self.world = service, server, world


@asynccontextmanager
async def open_scene(record: AuthRecord | None, answers: dict[str, object] | None = None) -> AsyncIterator[Scene]:
    """Give the service with this credential stored, and this backend."""
    server = Server(**(answers or {}))

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(server.handle))

    backend = Backend(HttpClient("agent/1", open_httpx), "https://chatgpt.com/backend-api")
    answer_for = {f"/backend-api{ACCOUNTS}": server.handle}
    async with open_world(store=MemoryStore(record), answer_for=answer_for) as world:
        service = UsageService(world.credential, world.refresher, backend)
        yield Scene(service, server, world)


async def use(scene: Scene, record: AuthRecord | None) -> None:
    """Have this credential, which may be a client's own."""
    if record is None:
        return
    if record.mode == "chatgptAuthTokens":
        await scene.world.account.use_external(FakeExternal(record), announce=lambda: None)  # type: ignore[arg-type]  # all of it that is used
    else:
        await scene.world.services.accounts.log_in(record, announce=lambda: None)


class FakeExternal(msgspec.Struct):
    """A client's own tokens, that nobody refreshes."""

    record: AuthRecord

    def note_supplied(self) -> None:
        """See ExternalTokens."""
