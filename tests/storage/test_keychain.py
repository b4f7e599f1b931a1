"""The keyring of macOS, by way of the library that knows it."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from accountd.errors import KeyringError, KeyringLocked
from accountd.storage.keyring import Keychain, KeyringStore
from fakes.keyring import RECORD, at_once, save

if TYPE_CHECKING:
    from pathlib import Path


class FakeKeychain:
    """What the library `keyring` makes of the Keychain of macOS."""

    kept: dict[tuple[str, str], str]
    failure: Exception | None

    def get_password(self, service: str, account: str) -> str | None:
        """Give a password."""
        if self.failure is not None:
            raise self.failure
        return self.kept.get((service, account))

    def set_password(self, service: str, account: str, text: str) -> None:
        """Keep a password."""
        if self.failure is not None:
            raise self.failure
        self.kept[service, account] = text

    def delete_password(self, service: str, account: str) -> None:
        """Remove a password that is there."""
        del self.kept[service, account]


class Refused(Exception):
    """The error of the library."""


class Denied(Refused):
    """Its error for what is locked."""


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[FakeKeychain]:
    """Give a library `keyring`, which is installed on macOS only, as much of it as is used."""

    class Library(FakeKeychain):
        kept: dict[tuple[str, str], str] = {}  # noqa: RUF012 - each is a new one; each call makes a new object
        failure = None

    modules = {name: ModuleType(name) for name in ("keyring", "keyring.errors", "keyring.backends")}
    modules["keyring.backends.macOS"] = ModuleType("keyring.backends.macOS")
    vars(modules["keyring"]).update(errors=modules["keyring.errors"])
    vars(modules["keyring.errors"]).update(KeyringError=Refused, KeyringLocked=Denied)
    vars(modules["keyring.backends"]).update(macOS=modules["keyring.backends.macOS"])
    vars(modules["keyring.backends.macOS"]).update(Keyring=Library)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return Library


async def test_the_keychain_is_laid_out_like_the_peers(tmp_path: Path, library: type[FakeKeychain]) -> None:
    """Service, account and document go to the library as they are, and come back."""
    store = KeyringStore(tmp_path, Keychain(), in_thread=at_once)
    await save(store)
    assert list(library.kept) == [("Codex Auth", store.account)]
    assert json.loads(library.kept["Codex Auth", store.account])["OPENAI_API_KEY"] == "sk-new"
    assert await store.load() == RECORD
    await store.delete()
    await store.delete()
    assert library.kept == {}


async def test_the_keychains_errors_are_ours(tmp_path: Path, library: type[FakeKeychain]) -> None:
    """Nothing of the library's comes out of the store."""
    store = KeyringStore(tmp_path, Keychain(), in_thread=at_once)
    library.failure = Denied("no")
    with pytest.raises(KeyringLocked):
        await store.load()
    library.failure = Refused("(-25308, 'Unknown Error')")
    with pytest.raises(KeyringError, match="the Keychain refused"):
        await save(store)


async def test_a_missing_library_is_no_empty_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library is not installed, the error names the extra; the Keychain may hold a login all the same."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(KeyringError, match=r"install it with its extra, `accountd\[keyring\]`, or") as caught:
        await KeyringStore(tmp_path, Keychain(), in_thread=at_once).load()
    assert type(caught.value) is KeyringError
