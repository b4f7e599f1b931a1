"""What a crash has left beside `auth.json`: taken over where it is the login, removed where it is not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from accountd.secret import Secret
from accountd.storage.base import AuthRecord, api_key_record
from accountd.storage.document import render_record
from accountd.storage.file import FileStore
from fakes.records import log_in, refresh

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = ".auth.json.0123456789abcdef.tmp"
STORED = log_in()
LATER = refresh(STORED)


OF_ANOTHER_USER = {name: getattr(log_in("user-2").chatgpt, name) for name in ("claims", "tokens")}


def change(record: AuthRecord, **fields: Any) -> AuthRecord:
    """Give a record whose login has other fields."""
    assert record.chatgpt is not None
    return msgspec.structs.replace(record, chatgpt=msgspec.structs.replace(record.chatgpt, **fields))


async def settle_at_start(store: FileStore) -> None:
    """Start a daemon."""
    await store.recover()


async def settle_before_a_change(store: FileStore) -> None:
    """Begin a refresh, a login or a logout."""
    async with store.locked():
        pass


@pytest.fixture(params=[settle_at_start, settle_before_a_change])
def settle(request: pytest.FixtureRequest) -> Callable[[FileStore], Any]:
    """Give each moment at which leftovers are looked at."""
    chosen: Callable[[FileStore], Any] = request.param
    return chosen


def left(home: Path) -> set[str]:
    """Name what is in a home, but for the locks."""
    return {path.name for path in home.iterdir()} - {"auth.json.lock", "auth.lock"}


async def test_a_later_state_of_the_login_is_the_login(
    settle: Callable[[FileStore], Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The latest of several, even if what is stored is not the very state that it came from; nothing is left."""
    store = FileStore(tmp_path)
    store.path.write_bytes(render_record(STORED))
    for number, record in enumerate([LATER, refresh(LATER, 180), refresh(LATER, 120)]):
        (tmp_path / f".auth.json.{number:016x}.tmp").write_bytes(render_record(record))
    await settle(store)
    assert await store.load() == refresh(LATER, 180)
    assert left(tmp_path) == {"auth.json"}
    assert "its tokens are taken over" in caplog.text


@pytest.mark.parametrize(
    "leftover",
    [
        render_record(LATER)[:-40],
        b"",
        render_record(api_key_record(Secret("sk"))),
        render_record(STORED),
        render_record(refresh(STORED, -60)),
        render_record(change(LATER, account_id="acct-2")),
        render_record(refresh(log_in())),
        render_record(change(LATER, **OF_ANOTHER_USER)),
        render_record(msgspec.structs.replace(LATER, last_refresh="+275760-09-13T00:00:00Z")),
        b"x" * (2 << 20),
    ],
    ids=["cut", "empty", "key", "same", "older", "workspace", "another login", "another user", "no time", "large"],
)
async def test_anything_else_is_removed(
    leftover: bytes, settle: Callable[[FileStore], Any], tmp_path: Path
) -> None:
    """What is stored was stored after it, or is somebody else's."""
    store = FileStore(tmp_path)
    store.path.write_bytes(render_record(STORED))
    (tmp_path / NAME).write_bytes(leftover)
    await settle(store)
    assert await store.load() == STORED
    assert left(tmp_path) == {"auth.json"}


async def test_a_logout_is_not_undone(settle: Callable[[FileStore], Any], tmp_path: Path) -> None:
    """Where nothing is stored, nobody is logged in."""
    (tmp_path / NAME).write_bytes(render_record(LATER))
    await settle(FileStore(tmp_path))
    assert left(tmp_path) == set()


async def test_beside_what_cannot_be_read_nothing_is_decided(
    settle: Callable[[FileStore], Any], tmp_path: Path
) -> None:
    """It may be a later state of that; the next login has both out of the way."""
    store = FileStore(tmp_path)
    store.path.write_text("{torn")
    (tmp_path / NAME).write_bytes(render_record(LATER))
    await settle(store)
    assert left(tmp_path) == {"auth.json", NAME}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a file belong to another user")
@pytest.mark.parametrize("kind", ["file", "link", "pipe", "folder"])
async def test_what_is_no_file_of_ours_is_left(
    kind: str, settle: Callable[[FileStore], Any], tmp_path: Path
) -> None:
    """In a sticky folder others may put what they like there: it is no login, and nobody waits for it."""
    store, path = FileStore(tmp_path), tmp_path / NAME
    store.path.write_bytes(render_record(STORED))
    match kind:
        case "file":
            path.write_bytes(render_record(LATER))
        case "link":
            (tmp_path / "theirs").write_bytes(render_record(LATER))
            path.symlink_to("theirs")
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()
    os.chown(path, 65534, 65534, follow_symlinks=False)
    tmp_path.chmod(0o1777)  # noqa: ASYNC240 - it takes no time
    await settle(store)
    assert await store.load() == STORED
    assert NAME in left(tmp_path)


async def test_a_link_s_leftovers_are_where_it_leads(settle: Callable[[FileStore], Any], tmp_path: Path) -> None:
    """There the document is written, under the name that it has there."""
    (tmp_path / "real").mkdir()
    store = FileStore(tmp_path)
    store.path.symlink_to("real/credential")
    store.path.write_bytes(render_record(STORED))
    (tmp_path / "real" / NAME.replace("auth.json", "credential")).write_bytes(render_record(LATER))
    await settle(store)
    assert await store.load() == LATER
    assert left(tmp_path / "real") == {"credential", "credential.json.lock"}


async def test_a_logout_leaves_no_token_behind(tmp_path: Path) -> None:
    """Neither in what could not be read and was kept aside, nor in what a crash has left; nor is more removed."""
    store = FileStore(tmp_path)
    for name in ("auth.json", "auth.json.corrupt-20270115T080000", NAME, "auth.json.bak", ".auth.json.x.tmp"):
        (tmp_path / name).write_text("{torn")
    async with store.locked():
        await store.delete()
    assert left(tmp_path) == {"auth.json.bak", ".auth.json.x.tmp"}


REDO = NAME.replace(".tmp", ".redo")


@pytest.mark.parametrize(
    ("there", "beside", "taken"),
    [
        (b"{torn", {REDO: LATER}, True),
        (b"", {REDO: LATER}, True),
        (render_record(STORED), {REDO: LATER}, True),
        (b"{torn", {NAME: LATER}, False),
        (b"{torn", {REDO: None}, False),
    ],
)
async def test_what_was_being_written_in_place_is_written_again(
    there: bytes,
    beside: dict[str, AuthRecord | None],
    taken: bool,
    settle: Callable[[FileStore], Any],
    tmp_path: Path,
) -> None:
    """If that has torn what is there. A document that was torn otherwise is a login's to replace."""
    store = FileStore(tmp_path)
    store.path.write_bytes(there)
    for name, record in beside.items():
        (tmp_path / name).write_bytes(b"{torn" if record is None else render_record(record))
    await settle(store)
    assert store.path.read_bytes() == (render_record(LATER) if taken else there)
    assert left(tmp_path) == ({"auth.json"} if taken else {"auth.json", *beside})
