"""A world in which an organisation requires something, and the backend that tells what, or does not."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import trio
import trio.testing

from accountd.oauth.claims import parse_claims
from accountd.requirements.layers import NO_REQUIREMENTS
from accountd.sandbox import Claims, Script
from accountd.secret import Secret
from accountd.storage.base import ChatgptLogin, Provenance, chatgpt_record
from accountd.storage.memory import MemoryStore
from fakes.bundles import bundle
from fakes.world import open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from accountd.config.policy import Policy
    from accountd.oauth.tokens import TokenSet
    from accountd.protocol.requirements import ConfigRequirementsReadResponse
    from accountd.requirements.layers import Layer
    from fakes.world import World

BUNDLE = "/backend-api/wham/config/bundle"
BUSINESS = Claims(plan="business")
LONG = 60 * 86_400
"""Seconds that tokens live: long enough for no refresh to come in between."""

Answer = str | int | None
"""TOML to answer with, or a status to refuse with, or None for no answer at all."""


class Office:
    """The backend as far as requirements go. It gives its answers in turn, and the last one for ever."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = list(answers)
        self.delay = 0.0
        self.asked_at: list[float] = []
        self.tokens: list[Secret] = []

    async def respond(self, request: httpx.Request) -> httpx.Response:
        """Answer a request for the bundle."""
        self.asked_at.append(trio.current_time())
        self.tokens.append(Secret(request.headers["Authorization"].removeprefix("Bearer ")))
        await trio.sleep(self.delay)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise httpx.ConnectError("All connection attempts failed", request=request)
        if isinstance(answer, int):
            return httpx.Response(answer, text="no")
        return httpx.Response(200, content=bundle(answer))


class Scene:
    """A world with requirements in it."""

    def __init__(self, world: World, office: Office) -> None:
        self.world = world
        self.office = office
        self.service = world.account.requirements

    async def load(self, claims: Claims = BUSINESS) -> TokenSet:
        """Have a login's requirements loaded, as before its commit, and give its tokens."""
        self.world.sandbox.script = Script(claims=claims, token_lifetime=LONG)
        tokens = self.world.sandbox.issue_tokens()
        read = parse_claims(tokens.id_token)
        await self.service.load_for(ChatgptLogin(tokens, read, read.account_id))
        return tokens

    async def commit(self, tokens: TokenSet) -> None:
        """Make tokens the current account's."""
        claims = parse_claims(tokens.id_token)
        record = chatgpt_record(tokens, claims, Provenance("http://127.0.0.1", "client"), 0)
        await self.world.services.accounts.log_in(record, announce=lambda: None)
        await trio.testing.wait_all_tasks_blocked()

    async def log_in(self, claims: Claims = BUSINESS) -> None:
        """Log in: first the requirements, then the commit."""
        await self.commit(await self.load(claims))

    async def log_in_elsewhere(self, claims: Claims = BUSINESS) -> None:
        """Log in as another program does, which has its own requirements."""
        self.world.sandbox.script = Script(claims=claims, token_lifetime=LONG)
        await self.commit(self.world.sandbox.issue_tokens())


@asynccontextmanager
async def open_scene(
    folder: Path, *answers: Answer, policy: Policy | None = None, system: Layer = NO_REQUIREMENTS
) -> AsyncIterator[Scene]:
    """Give a scene in which nobody is logged in; its file is in the folder."""
    office = Office(answers or ["allow_appshots = true"])

    async with open_world(
        store=MemoryStore(),
        policy=policy,
        answer_for={BUNDLE: office.respond},
        home=folder,
        system=system,
    ) as world:
        world.account.requirements._chance = lambda: 0.5
        await trio.testing.wait_all_tasks_blocked()
        yield Scene(world, office)


def told(answer: ConfigRequirementsReadResponse | None) -> dict[str, Any] | None:
    """Give what a client is told, without nulls and login methods."""
    assert answer is not None
    requirements = json.loads(msgspec.json.encode(answer))["requirements"]
    return requirements and {
        key: value for key, value in requirements.items() if value is not None and key != "allowedLoginMethods"
    }
