"""A token socket that is opened, moved and closed while the daemon runs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from accountd.errors import InvalidRequest, SocketError
from accountd.listeners import choose_listeners, make_token_socket
from accountd.server.token_socket import TokenSocket
from accountd.server.token_socket_holder import TokenSocketHolder
from accountd.system.activation import Activated
from accountd.system.unix_socket import is_live

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[TokenSocketHolder]:
    """Serve the holder of a daemon whose main socket is in this folder; those who come are let go."""

    async def serve(listener: trio.SocketListener) -> None:
        await trio.serve_listeners(lambda stream: stream.aclose(), [listener])

    def make(path: Path) -> TokenSocket:
        checked = make_token_socket(path, folder / "accountd.sock")
        return TokenSocket(checked.path, folder / f"{path.name}.lock")

    holder = TokenSocketHolder(None, make)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder.serve, serve)
        yield holder
        nursery.cancel_scope.cancel()


async def test_it_is_opened_moved_and_closed(tmp_path: Path) -> None:
    """The answer comes when it is known whether anybody can connect; the one before is gone then."""
    first, second = tmp_path / "a" / "s", tmp_path / "b" / "s"
    async with serving(tmp_path) as holder:
        opened = await holder.open(first)
        assert (opened.find_trouble(), is_live(first)) == (None, True)
        assert await holder.open(first) is opened
        assert (await holder.open(second)).find_trouble() is None
        assert (is_live(first), is_live(second)) == (False, True)
        holder.close()
        with trio.fail_after(5):
            while second.exists():  # noqa: ASYNC110 - a file has no event
                await trio.sleep(0.01)
        assert holder.current is None


async def test_what_stands_in_the_way_is_told(tmp_path: Path) -> None:
    """It is tried again; a folder that has the main socket is refused, and what was there stays."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "s").write_text("precious")
    async with serving(tmp_path) as holder:
        trouble = (await holder.open(tmp_path / "a" / "s")).find_trouble()
        assert trouble is not None
        before = holder.current
        with pytest.raises(InvalidRequest, match="give it a folder of its own"):
            await holder.open(tmp_path / "s")
        assert holder.current is before


def test_no_daemon_starts_where_containers_are_given_a_folder(tmp_path: Path) -> None:
    """The mark of a token socket stays when that is closed, and keeps the main socket of a daemon away."""
    (tmp_path / "s.token").touch()
    with pytest.raises(SocketError, match="cannot be in a folder that containers are given"):
        choose_listeners(Activated(), tmp_path / "other", None, stdio=False, exit_when_idle=None)
    choose_listeners(Activated(), tmp_path / "box" / "other", None, stdio=False, exit_when_idle=None)
