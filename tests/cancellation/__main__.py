"""Tries each happening after each step of each operation, and then two of them by chance, for as long as told."""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from typing import TYPE_CHECKING

from cancellation.operations import OPERATIONS
from cancellation.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator


class Explorer:
    """Runs trials until `deadline`, on time.monotonic, and keeps count."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._failed: list[Trial] = []
        self._counts: Counter[str] = Counter()
        self._trials: Counter[int] = Counter()

    def is_time(self) -> bool:
        """Say whether there is time left."""
        return time.monotonic() < self._deadline

    def attempt(self, trial: Trial) -> int:
        """Run one, and give how many of its happenings happened. A failure is shown, and is no end."""
        try:
            outcome = trial.run()
        except Exception:  # noqa: BLE001 - whatever it is, the next trial may find another
            self._failed.append(trial)
            self._say(traceback.format_exc())
            return len(trial.happenings)
        self._counts += outcome.counts
        self._trials[outcome.struck] += 1
        return outcome.struck

    def each_step(self) -> None:
        """Have each happening after each step, once."""
        for operation, (_, happenings, _) in OPERATIONS.items():
            for happening in happenings:
                steps = 1
                while self.is_time() and self.attempt(Trial(operation, ((happening, steps),))):
                    steps += 1
                self._say(f"{operation}: {happening}, after each of {steps - 1} steps\n")

    def pairs(self, chance: random.Random) -> None:
        """Have two happenings, by chance, in an order of tasks by chance; say now and then how many."""
        said = time.monotonic()
        for trial in _choose_pairs(chance):
            if not self.is_time():
                return
            self.attempt(trial)
            if time.monotonic() - said > 30:
                said = time.monotonic()
                self._say(f"{self._trials[2]} pairs, {len(self._failed)} failures\n")

    def report(self) -> int:
        """Say what there was, and give the exit status."""
        for name in ("started", "success", "failure", "cancelled", "save", "delete"):
            self._say(f"{self._counts[name]:8d} {name}\n")
        self._say(f"{sum(self._trials.values())} trials: {self._trials[1]} once, {self._trials[2]} twice\n")
        for trial in self._failed:
            self._say(f"failed: {trial!r}\n")
        return 1 if self._failed else 0

    def _say(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _choose_pairs(chance: random.Random) -> Iterator[Trial]:
    longest: Counter[str] = Counter()
    while True:
        name = chance.choice(list(OPERATIONS))
        if not longest[name]:
            longest[name] = _count_steps(name)
        first, second = chance.choices(list(OPERATIONS[name].happenings), k=2)
        pair = (first, chance.randint(1, longest[name])), (second, chance.randint(1, 30))
        yield Trial(name, pair, chance.randrange(1_000_000))


def _count_steps(name: str) -> int:
    """Find the number of steps of an operation, about."""
    happening, steps = "everything is cancelled", 1
    while Trial(name, ((happening, 2 * steps),)).run().struck:
        steps *= 2
    return steps


def main() -> int:
    """Run for the time that was asked for."""
    parser = argparse.ArgumentParser(prog="make cancellation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1500.0, help="how long (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=None, help="of the chance (default: another each time)")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    explorer = Explorer(time.monotonic() + given.seconds)
    explorer.each_step()
    sys.stdout.write(f"pairs, by the seed {seed}\n")
    explorer.pairs(random.Random(seed))
    return explorer.report()


if __name__ == "__main__":
    sys.exit(main())
