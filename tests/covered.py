"""Hold the floors that everything stands on to what the tests run of them: lines, and branches.

    coverage run -m pytest tests && PYTHONPATH=tests python -m covered

Which module is on which floor is read from the package's own map. For the other floors, whose tests run them in
processes of their own, the numbers are for information.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import coverage

import accountd
from test_architecture import THIRD_PARTIES, find_room, read_floors

LEAST = 98.0
HELD = ("ground", "paper", "services")


class Covered(NamedTuple):
    """How many there are of a kind, and how many of these were run."""

    run: int
    there: int

    def __add__(self, other: object) -> Covered:
        assert isinstance(other, Covered)
        return Covered(self.run + other.run, self.there + other.there)

    @property
    def percent(self) -> float:
        """What is not there is not missing."""
        return 100.0 * self.run / self.there if self.there else 100.0


NOTHING = Covered(0, 0)


def main() -> int:
    """Print a line for each floor, and for each module of it that has something missing."""
    measured = _measure()
    floors = read_floors(accountd.__doc__ or "")
    too_low = []
    for height, floor in enumerate(THIRD_PARTIES):
        modules = {path: found for path, found in measured.items() if floors.get(find_room(path, floors)) == height}
        lines = sum((_lines(found) for found in modules.values()), NOTHING)
        branches = sum((_branches(found) for found in modules.values()), NOTHING)
        least = f"{LEAST:.0f} % or more" if floor in HELD else "for information"
        print(f"{floor:<10} lines {lines.percent:6.2f} %   branches {branches.percent:6.2f} %   {least}")
        if floor in HELD:
            for path, found in sorted(modules.items()):
                _print_missing(path, found)
            too_low += [floor] * (min(lines.percent, branches.percent) < LEAST)
    if too_low:
        print(f"Too little of {' and '.join(too_low)} is run by the tests.")
    return 1 if too_low else 0


def _measure() -> dict[str, dict[str, Any]]:
    """Give what was run of each module, by its path in the package."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        measured = coverage.Coverage()
        measured.load()
        measured.json_report(outfile=str(report))
        files: dict[str, dict[str, Any]] = json.loads(report.read_text())["files"]
    return {name.partition("accountd/")[2]: found for name, found in files.items()}


def _lines(found: dict[str, Any]) -> Covered:
    return Covered(found["summary"]["covered_lines"], found["summary"]["num_statements"])


def _branches(found: dict[str, Any]) -> Covered:
    return Covered(found["summary"]["covered_branches"], found["summary"]["num_branches"])


def _print_missing(path: str, found: dict[str, Any]) -> None:
    missing = [str(line) for line in found["missing_lines"]]
    missing += [f"{start}->{'end' if end < 0 else end}" for start, end in found["missing_branches"]]
    if missing:
        print(f"    {path}: {', '.join(missing)}")


if __name__ == "__main__":
    sys.exit(main())
