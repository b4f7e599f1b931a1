"""When memory is given back."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from accountd.server.departures import CROWD, PAUSE, Departures


@pytest.mark.parametrize(("clients", "kept"), [(CROWD, 0), (2, 1 << 20)], ids=["many", "large"])
async def test_it_is_given_back_once_for_a_crowd(
    clients: int, kept: int, autojump_clock: trio.testing.MockClock
) -> None:
    """A moment after it has begun to leave; what leaves meanwhile is part of it, and a few are none."""
    released: list[float] = []
    async with trio.open_nursery() as nursery:
        departures = Departures(lambda: released.append(trio.current_time()))
        nursery.start_soon(departures.serve)
        for _ in range(2):
            departures.note(0)
            await trio.sleep(1000)
        assert released == []
        for _ in range(2 * clients):
            departures.note(kept)
        await trio.sleep(1000)
        assert released == [2000 + PAUSE]
        departures.note(0)
        await trio.sleep(1000)
        assert len(released) == 1
        nursery.cancel_scope.cancel()
