"""The keyring store on a real Secret Service: GNOME's daemon, on a session bus of its own."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from accountd.errors import MalformedRecord
from accountd.secret import Secret
from accountd.storage.auto import AutoStore
from accountd.storage.base import Unknown, api_key_record
from accountd.storage.keyring import KeyringStore
from accountd.storage.secret_service import SecretService
from fakes.desktop import NEEDED, save
from fakes.keyring import RECORD
from fakes.processes import running

if TYPE_CHECKING or sys.platform == "linux":
    import secretstorage

if TYPE_CHECKING:
    from fakes.desktop import Desktop

pytestmark = NEEDED

ITEM = {
    "service": "Codex Auth",
    "target": "default",
    "application": "rust-keyring",
    "xdg:schema": "org.freedesktop.Secret.Generic",
}
"""The attributes with which Codex 0.169 writes, but for `username`."""


async def test_save_load_and_delete(desktop: Desktop, store: KeyringStore, tmp_path: Path) -> None:
    """What is saved is loaded, by another process too; it is in no file; after a delete it is nowhere."""
    (tmp_path / "auth.json").write_text("{}")
    assert await store.load() is None
    await save(store, "sk-old")
    await save(store)
    assert await store.load() == RECORD
    assert await KeyringStore(tmp_path, SecretService()).load() == RECORD
    assert not (tmp_path / "auth.json").exists()
    async with store.locked():
        await store.delete()
        await store.delete()
    assert await store.load() is None
    assert desktop.items(store.account) == []


async def test_an_item_of_ours_is_found_by_the_peer(desktop: Desktop, store: KeyringStore) -> None:
    """It has the attributes by which Codex searches, and there is one, which Codex insists on."""
    await save(store, "sk-old")
    await save(store)
    [(attributes, document)] = desktop.items(store.account)
    assert attributes == ITEM | {"username": store.account, "application": "accountd"}
    assert document == b'{"auth_mode":"apikey","OPENAI_API_KEY":"sk-new"}'


@pytest.mark.parametrize("old_kind", [False, True])
async def test_an_item_of_the_peer_is_ours(desktop: Desktop, store: KeyringStore, old_kind: bool) -> None:
    """What Codex wrote is read, and rewritten in its place: also an item of the kind without `target`."""
    theirs = {name: value for name, value in ITEM.items() if not old_kind or name != "target"}
    desktop.put(theirs | {"username": store.account}, b'{"OPENAI_API_KEY":"sk-theirs"}')
    record = await store.load()
    assert record is not None
    assert record.api_key == Secret("sk-theirs")
    await save(store)
    [(attributes, document)] = desktop.items(store.account)
    assert attributes == theirs | {"username": store.account}
    assert json.loads(document)["OPENAI_API_KEY"] == "sk-new"


async def test_of_several_items_one_is_left(desktop: Desktop, store: KeyringStore) -> None:
    """Between two that both match Codex cannot choose any more; after a save of ours there is one again."""
    for application, target in (("a", {}), ("b", {"target": "default"}), ("c", {"target": "default"})):
        attributes = {"service": "Codex Auth", "username": store.account, "application": application}
        desktop.put(attributes | target, b'{"OPENAI_API_KEY":"sk-%s"}' % application.encode())
    desktop.put({"service": "Codex Auth", "username": store.account, "target": "other"}, b"of nobody we know")
    await save(store)
    ours = desktop.items(store.account)
    others = [document for attributes, document in ours if attributes.get("target") == "other"]
    assert others == [b"of nobody we know"]
    assert len(ours) == 2
    await store.delete()
    assert [document for _, document in desktop.items(store.account)] == others


async def test_two_homes_do_not_meet(desktop: Desktop, tmp_path: Path) -> None:
    """Each CODEX_HOME has an item of its own."""
    stores = [KeyringStore(tmp_path / name, SecretService()) for name in ("a", "b")]
    await save(stores[0])
    assert await stores[1].load() is None


async def test_a_long_document_in_foreign_letters(desktop: Desktop, store: KeyringStore) -> None:
    """Size and alphabet of what others have written into it are no matter."""
    note = msgspec.Raw(msgspec.json.encode("ключ-" * 5000))
    record = msgspec.structs.replace(api_key_record(Secret("sk-new")), unknown=Unknown({"note": note}))
    async with store.locked():
        await store.save(record)
    assert await store.load() == record


async def test_a_document_that_is_no_text_is_malformed(desktop: Desktop, store: KeyringStore) -> None:
    """It is an error, and kept aside by the next save."""
    desktop.put(ITEM | {"username": store.account}, b"\xff\x00")
    with pytest.raises(MalformedRecord):
        await store.load()
    await save(store)
    assert await store.load() == RECORD
    with closing(secretstorage.dbus_init()) as connection:
        documents = [
            item.get_secret() for item in secretstorage.search_items(connection, {"service": "Codex Auth"})
        ]
    assert b"\xff\x00" in documents


async def test_auto_goes_to_the_file_and_comes_back(
    desktop: Desktop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Locked, the keyring is stood in for by the file, which then counts; unlocked, it takes over again."""
    caplog.set_level(logging.INFO)
    store = AutoStore(tmp_path, KeyringStore(tmp_path, SecretService()))
    await save(store, "sk-1")
    assert store.describe().kind == "keyring"
    desktop.lock()
    await save(store, "sk-2")
    assert store.describe().kind == "file"
    assert "the keyring is locked" in (store.describe().note or "")
    os.utime(tmp_path / "auth.json", (time.time() + 2, time.time() + 2))  # as if some time had passed
    desktop.stop_keyring()
    desktop.start_keyring()
    assert await store.load() == api_key_record(Secret("sk-2"))
    assert store.describe().kind == "file"
    await save(store, "sk-3")
    assert await store.load() == api_key_record(Secret("sk-3"))
    assert store.describe().kind == "keyring"
    assert not (tmp_path / "auth.json").exists()
    assert "sk-" not in caplog.text


def test_a_daemon_logs_in_to_the_keyring(desktop: Desktop) -> None:
    """The whole way: a client's API key ends in the keyring, outlives the daemon, and a logout removes it."""
    home = Path(tempfile.mkdtemp(prefix="accountd-"))
    (home / "config.toml").write_text('cli_auth_credentials_store = "keyring"\n')
    try:
        account = KeyringStore(home, SecretService()).account
        with running(home, **desktop.variables) as daemon, daemon.connect() as client:
            client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-canary"})
            assert [json.loads(document) for _, document in desktop.items(account)] == [
                {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-canary"}
            ]
            assert not (home / "auth.json").exists()
            assert "sk-canary" not in daemon.stop()
        with running(home, **desktop.variables) as daemon, daemon.connect() as client:
            assert client.call("account/read", {})["account"] == {"type": "apiKey"}
            client.call("account/logout", None)
        assert desktop.items(account) == []
    finally:
        shutil.rmtree(home)
