"""When memory is given back."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from accountd.server.memory_release import CROWD, PAUSE, MemoryRelease


@pytest.mark.parametrize(("clients", "kept"), [(CROWD, 0), (2, 1 << 20)], ids=["many", "large"])
async def test_it_is_given_back_once_for_a_crowd(
    clients: int, kept: int, autojump_clock: trio.testing.MockClock
) -> None:
    """A moment after it has begun to leave; what leaves meanwhile is part of it, and a few are none."""
    released: list[float] = []
    async with trio.open_nursery() as nursery:
        memory_release = MemoryRelease(lambda: released.append(trio.current_time()))
        nursery.start_soon(memory_release.serve)
        for _ in range(2):
            memory_release.note(0)
            await trio.sleep(1000)
        assert released == []
        for _ in range(2 * clients):
            memory_release.note(kept)
        await trio.sleep(1000)
        assert released == [2000 + PAUSE]
        memory_release.note(0)
        await trio.sleep(1000)
        assert len(released) == 1
        nursery.cancel_scope.cancel()
