"""The stores that are configured: `cli_auth_credentials_store`. No credential goes where it was not told to."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from accountd import paths
from accountd.storage.auto import AutoStore
from accountd.storage.file import FileStore
from accountd.storage.keyring import SERVICE, SERVICE_OF_ACCOUNTS, Keychain, KeyringStore
from accountd.storage.memory import MemoryStore
from accountd.storage.secret_service import SecretService
from accountd.storage.vault import FileVault, MemoryVault

if TYPE_CHECKING:
    from accountd.config.settings import Config
    from accountd.storage.base import AuthStore
    from accountd.storage.keyring import Keyring
    from accountd.storage.vault import Vault


def open_store(config: Config) -> AuthStore:
    """Make the store of the active account. Nothing is read, and no keyring is asked, before it is used."""
    home = config.codex_home
    match config.credentials_store:
        case "file":
            return FileStore(home)
        case "ephemeral":
            return MemoryStore()
        case "keyring":
            return KeyringStore(home, _open_keyring(SERVICE))
        case "auto":
            return AutoStore(home, KeyringStore(home, _open_keyring(SERVICE)))


def open_vault(config: Config) -> Vault:
    """Make the vault of the other accounts, whose records are kept as that of the active one is."""
    if config.credentials_store == "ephemeral":
        return MemoryVault()
    return FileVault(config.codex_home, partial(_open_record, config))


def _open_record(config: Config, account_id: str) -> AuthStore:
    folder = config.codex_home / paths.ACCOUNTS / paths.ACCOUNT_RECORDS
    file = FileStore(folder, f"{account_id}.json")
    if config.credentials_store == "file":
        return file
    keyring = KeyringStore(config.codex_home, _open_keyring(SERVICE_OF_ACCOUNTS), file=file, account_id=account_id)
    return AutoStore(folder, keyring, file) if config.credentials_store == "auto" else keyring


def _open_keyring(service: str) -> Keyring:
    return Keychain(service) if sys.platform == "darwin" else SecretService(service)
