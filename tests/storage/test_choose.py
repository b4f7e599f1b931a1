"""Which store the configuration chooses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from accountd.config.settings import Config
from accountd.storage.auto import AutoStore
from accountd.storage.choose import open_store
from accountd.storage.file import FileStore
from accountd.storage.keyring import KeyringStore
from accountd.storage.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.config.settings import CredentialsStore


@pytest.mark.parametrize(
    ("configured", "kind", "place"),
    [
        ("file", FileStore, "file"),
        ("ephemeral", MemoryStore, "memory"),
        ("keyring", KeyringStore, "keyring"),
        ("auto", AutoStore, "keyring"),
    ],
)
def test_the_configured_store_is_opened(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    configured: CredentialsStore,
    kind: type[object],
    place: str,
) -> None:
    """Each word of the configuration is a store, that says where it keeps things, and asks nobody yet."""
    caplog.set_level(logging.DEBUG)
    store = open_store(Config(codex_home=tmp_path, credentials_store=configured))
    assert isinstance(store, kind)
    assert store.describe().kind == place
    assert store.describe().note is None
    assert not caplog.records
