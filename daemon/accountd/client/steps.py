"""The steps of a login for `async for`, on trio as on asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

StepT = TypeVar("StepT")


class Steps(Generic[StepT]):
    """An async iterator. It is no generator, which would have to be closed where a loop is left early.

    `next_step` waits for the step of a number, from 0, and gives None if there will be none.
    """

    def __init__(self, next_step: Callable[[int], Awaitable[StepT | None]]) -> None:
        self._next_step = next_step
        self._taken = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StepT:
        """Wait for the next one. Cancelling it loses none. Raises what `next_step` does."""
        step = await self._next_step(self._taken)
        if step is None:
            raise StopAsyncIteration
        self._taken += 1
        return step
