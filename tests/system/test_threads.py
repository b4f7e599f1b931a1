"""Work in threads, where there are any to be had."""

from __future__ import annotations

import pytest
import trio

from accountd.system.threads import run_in_thread


@pytest.mark.parametrize("words", ["can't start new thread", "another failure"])
async def test_where_no_thread_can_be_had_the_work_is_done_all_the_same(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever asked. What the work itself raises is raised, and it is not done twice."""

    async def fail(*_: object) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(trio.to_thread, "run_sync", fail)
    if words == "another failure":
        with pytest.raises(RuntimeError, match=words):
            await run_in_thread(str, 5)
    else:
        assert await run_in_thread(str, 5) == "5"
