"""Work that takes a while and waits for nobody, done where nobody waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

import trio

from accountd.errors import describe_shortage

if TYPE_CHECKING:
    from collections.abc import Callable

ResultT = TypeVar("ResultT")
Arguments = TypeVarTuple("Arguments")


async def run_in_thread(work: Callable[[Unpack[Arguments]], ResultT], *args: *Arguments) -> ResultT:
    """Do it in a thread; where none can be had, here: that everybody waits is better than that it is not done.

    Raises what it raises. A cancellation waits for it.
    """
    try:
        return await trio.to_thread.run_sync(work, *args)
    except RuntimeError as error:
        if describe_shortage(error) is None:
            raise
        return work(*args)
