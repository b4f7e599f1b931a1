"""Requests that wait for their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from msgspec import UNSET, Raw

from accountd.rpc.pending import ConnectionEnded, PeerError, Pending

if TYPE_CHECKING:
    from accountd.protocol.jsonrpc import RequestId


class Asker:
    """Asks in tasks of their own; `sent` has the ids, `outcomes` what came of each."""

    def __init__(self, nursery: trio.Nursery, pending: Pending) -> None:
        self.sent: list[RequestId] = []
        self.seen: list[Raw] = []
        self.outcomes: dict[RequestId, object] = {}
        self.scopes: list[trio.CancelScope] = []
        self._nursery = nursery
        self._pending = pending

    async def ask(self, *, seen: bool = False) -> None:
        """Ask one thing more, and come back when it has been sent."""
        self._nursery.start_soon(self._ask, seen)
        await trio.testing.wait_all_tasks_blocked()

    async def _ask(self, seen: bool) -> None:
        number = len(self.sent)
        outcome: object = "given up"
        with trio.CancelScope() as scope:
            self.scopes.append(scope)
            try:
                outcome = bytes(await self._pending.ask(self.sent.append, self.seen.append if seen else None))
            except (PeerError, ConnectionEnded) as error:
                outcome = error
        self.outcomes[number] = outcome


@pytest.mark.parametrize(
    ("prefix", "ids"), [(None, [0, 1, 2]), ("accountd-", ["accountd-0", "accountd-1", "accountd-2"])]
)
async def test_each_finds_its_own_answer(prefix: str | None, ids: list[RequestId]) -> None:
    """In any order; what answers nothing of ours is told, and a second answer is ours and changes nothing."""
    pending = Pending(prefix)
    async with trio.open_nursery() as nursery:
        asker = Asker(nursery, pending)
        for _ in ids:
            await asker.ask()
        assert asker.sent == ids
        for stranger in (3 if prefix is None else "other-0", -1, "0", None, UNSET):
            assert not pending.settle(stranger, Raw(b"0"), UNSET)
        for number, request_id in reversed(list(enumerate(ids))):
            assert pending.settle(request_id, Raw(b"%d" % number), UNSET)
            assert pending.settle(request_id, Raw(b"9"), UNSET)
    assert asker.outcomes == {0: b"0", 1: b"1", 2: b"2"}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (Raw(b'{"code":-32600,"message":"no","data":[]}'), -32600, "no"),
        (Raw(b'"?"'), None, "could not be read"),
        (Raw(b'{"code":1}'), None, "could not be read"),
        (UNSET, None, "could not be read"),
    ],
)
async def test_an_error_is_an_answer(error: Raw, code: int | None, message: str) -> None:
    """Whether or not it can be read, nobody waits any longer."""
    pending = Pending()
    async with trio.open_nursery() as nursery:
        asker = Asker(nursery, pending)
        await asker.ask()
        assert pending.settle(0, UNSET, error)
    failure = asker.outcomes[0]
    assert isinstance(failure, PeerError)
    assert failure.code == code
    assert message in failure.message


async def test_the_end_fails_each_once() -> None:
    """Those that wait, and those that come later; not the one whose answer came just before."""
    pending = Pending()
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + 5
        asker = Asker(nursery, pending)
        for _ in range(3):
            await asker.ask()
        assert pending.settle(1, Raw(b"1"), UNSET)
        pending.end("closed the connection")
        pending.end("was left")
        assert pending.settle(0, Raw(b"0"), UNSET)
        await asker.ask()
    assert asker.sent == [0, 1, 2]
    assert asker.outcomes.pop(1) == b"1"
    assert [str(error) for error in asker.outcomes.values()] == ["closed the connection"] * 3
    assert len(set(map(id, asker.outcomes.values()))) == 3


async def test_what_is_given_up_is_forgotten_but_its_answer_is_seen_if_it_matters() -> None:
    """The late answer of one is nobody's; that of the other is told to whoever asked, before anything is read."""
    pending = Pending()
    async with trio.open_nursery() as nursery:
        asker = Asker(nursery, pending)
        await asker.ask()
        await asker.ask(seen=True)
        for scope in asker.scopes:
            scope.cancel()
    assert asker.outcomes == {0: "given up", 1: "given up"}
    assert list(pending._waiting) == [1]
    assert pending.settle(0, Raw(b"0"), UNSET)
    assert pending.settle(1, Raw(b"1"), UNSET)
    assert asker.seen == [Raw(b"1")]
