"""Whose turn it is: every server once in each round, and never the same one first."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from bench.figures import Kind, Quantity, Role, Row, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Contender(msgspec.Struct, frozen=True):
    """A server to be measured. `{socket}` in its command is the path to listen on."""

    role: Role
    kind: Kind
    command: str


ContenderT = TypeVar("ContenderT")


def take_turns(contenders: Sequence[ContenderT], rounds: int) -> Iterator[ContenderT]:
    """Give the order: each round begins one further on, and every other one runs backwards.

    So nobody always comes after the same one, whose heat, caches and leftovers it would inherit.
    """
    for number in range(rounds):
        first = number % len(contenders)
        order = [*contenders[first:], *contenders[:first]]
        yield from order if number % 2 == 0 else reversed(order)


class Results:
    """What has been found so far."""

    def __init__(self) -> None:
        self._figures: dict[tuple[Quantity, Kind | None], dict[Role, list[float]]] = {}

    def add(self, role: Role, kind: Kind | None, sample: Sample) -> None:
        """Note what one turn has found."""
        for quantity, figure in sample.items():
            self._figures.setdefault((quantity, kind), {}).setdefault(role, []).append(figure)

    def rows(self) -> list[Row]:
        """Give a row for each quantity and framing; WebSocket first, which is what both servers speak."""
        order = list(dict.fromkeys(quantity for quantity, _ in self._figures))
        return [
            Row(quantity, kind, self._figures[quantity, kind])
            for quantity in order
            for kind in ("ws", "ndjson", None)
            if (quantity, kind) in self._figures
        ]


def measure(
    results: Results, contenders: Sequence[Contender], rounds: int, take: Callable[[Contender], Sample]
) -> None:
    """Take a sample of each in every round."""
    for contender in take_turns(contenders, rounds):
        results.add(contender.role, contender.kind, take(contender))
