"""The store that is configured: `cli_auth_credentials_store`. A credential never goes where it was not told to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from accountd.storage.auto import AutoStore
from accountd.storage.file import FileStore
from accountd.storage.keyring import Keychain, KeyringStore
from accountd.storage.memory import MemoryStore
from accountd.storage.secret_service import SecretService

if TYPE_CHECKING:
    from accountd.config.settings import Config
    from accountd.storage.base import AuthStore


def open_store(config: Config) -> AuthStore:
    """Make the store. Nothing is read, and no keyring is asked, before it is used."""
    home = config.codex_home
    match config.credentials_store:
        case "file":
            return FileStore(home)
        case "ephemeral":
            return MemoryStore()
        case "keyring":
            return _keyring_store(config)
        case "auto":
            return AutoStore(home, _keyring_store(config))


def _keyring_store(config: Config) -> KeyringStore:
    keyring = Keychain() if sys.platform == "darwin" else SecretService()
    return KeyringStore(config.codex_home, keyring)
