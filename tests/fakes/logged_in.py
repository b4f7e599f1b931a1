"""A world in which somebody has logged in, and what tests of tokens ask of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from accountd.errors import ClientFailed, StorageError
from accountd.oauth.claims import parse_claims
from accountd.protocol.account import ExternalTokensLogin
from accountd.sandbox import Script
from accountd.storage.memory import MemoryStore
from fakes.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.account.external import Ask
    from accountd.protocol.account import (
        ChatgptAuthTokensRefreshParams,
        ChatgptAuthTokensRefreshResponse,
    )
    from accountd.storage.base import AuthRecord, ChatgptLogin

TOKEN = "/oauth/token"
APPROVED = Script(approve_after_polls=0)
HOUR = 3600.0


class FullDisk(MemoryStore):
    """A store that may refuse to be written."""

    full = False
    failure: Exception = StorageError("No space left on device (os error 28)")

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        if self.full:
            raise self.failure
        await super().save(record)

    async def refuse(self, record: AuthRecord) -> None:
        """Be a `save` without success."""
        raise FullDisk.failure


async def log_in(world: World) -> None:
    """Log in by device code."""
    assert (await world.wait_completion(await world.start_device_login()))["success"]


@asynccontextmanager
async def open_logged_in(script: Script = APPROVED, store: MemoryStore | None = None) -> AsyncIterator[World]:
    """Give a world in which somebody has logged in by device code."""
    async with open_world(script, store=store or MemoryStore()) as world:
        await log_in(world)
        world.heard.clear()
        yield world


async def ask_nobody(params: ChatgptAuthTokensRefreshParams) -> ChatgptAuthTokensRefreshResponse:
    """Be a client that has no other tokens."""
    raise ClientFailed("request failed: code=-32000 message=none")


async def supply_tokens(world: World, ask: Ask = ask_nobody) -> None:
    """Be a client that supplies tokens of its own, and can be asked for others."""
    token = world.sandbox.issue_tokens().access_token.reveal()
    await world.logins.start_external(ExternalTokensLogin(token, "account-sandbox"), ask, lambda _: None)


def login_of(world: World) -> ChatgptLogin:
    """Give the login that the account has."""
    assert world.credential.login is not None
    return world.credential.login


def stored_login(world: World) -> ChatgptLogin:
    """Give the login that the store has."""
    assert isinstance(world.store, MemoryStore)
    assert world.store.record is not None
    assert world.store.record.chatgpt is not None
    return world.store.record.chatgpt


def refreshes(world: World) -> int:
    """Count the requests to the token endpoint, but for the exchange of the login."""
    return [request.path for request in world.sandbox.requests].count(TOKEN) - 1


def refresh_elsewhere(world: World) -> None:
    """Be another program that stores new tokens, which are of the same account unless the script has changed."""
    assert isinstance(world.store, MemoryStore)
    assert world.store.record is not None
    tokens = world.sandbox.issue_tokens()
    login = msgspec.structs.replace(stored_login(world), tokens=tokens, claims=parse_claims(tokens.id_token))
    world.store.record = msgspec.structs.replace(world.store.record, chatgpt=login)


@asynccontextmanager
async def open_unsaved(failure: Exception = FullDisk.failure) -> AsyncIterator[tuple[World, FullDisk]]:
    """Give a world in which a refresh gave tokens that the disk would not take, and its disk, which is full."""
    store = FullDisk()
    store.failure = failure
    async with open_logged_in(store=store) as world:
        store.full = True
        await world.refresher.refresh("forced")
        yield world, store
