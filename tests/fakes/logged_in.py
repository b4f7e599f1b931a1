"""A world in which somebody has logged in, and what tests of tokens ask of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from accountd.sandbox import Script
from accountd.storage.memory import MemoryStore
from fakes.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.storage.base import ChatgptLogin

TOKEN = "/oauth/token"
APPROVED = Script(approve_after_polls=0)
HOUR = 3600.0


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


def login_of(world: World) -> ChatgptLogin:
    """Give the login that the account has."""
    assert world.account.login is not None
    return world.account.login


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
    """Be another program that refreshes and stores: a new token of the same account."""
    assert isinstance(world.store, MemoryStore)
    assert world.store.record is not None
    login = msgspec.structs.replace(stored_login(world), tokens=world.sandbox.issue_tokens())
    world.store.record = msgspec.structs.replace(world.store.record, chatgpt=login)
