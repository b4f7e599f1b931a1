"""The credential in memory alone: `cli_auth_credentials_store = "ephemeral"`, and the store of the tests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from accountd.storage.base import StoreDescription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.storage.base import AuthRecord


class MemoryStore:
    """An AuthStore that ends with the process. No other program can change it, but its lock is a lock."""

    def __init__(self, record: AuthRecord | None = None) -> None:
        self.record = record
        self._lock = trio.Lock()

    def describe(self) -> StoreDescription:
        """See AuthStore.describe."""
        return StoreDescription("memory", "memory of this process")

    async def recover(self) -> None:
        """See AuthStore.recover."""
        await trio.lowlevel.checkpoint()

    async def load(self) -> AuthRecord | None:
        """See AuthStore.load."""
        return self.record

    async def rehearse(self) -> None:
        """See AuthStore.rehearse. There is always room."""
        await trio.lowlevel.checkpoint()

    async def rehearse_delete(self) -> None:
        """See AuthStore.rehearse_delete."""
        await trio.lowlevel.checkpoint()

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """See AuthStore.locked."""
        async with self._lock:
            yield

    async def save(self, record: AuthRecord) -> None:
        """See AuthStore.save."""
        await trio.lowlevel.checkpoint()
        self.record = record

    async def delete(self) -> None:
        """See AuthStore.delete."""
        await trio.lowlevel.checkpoint()
        self.record = None
