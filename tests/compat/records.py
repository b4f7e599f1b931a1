"""The records: what was seen of each release of the stock app-server, one file a scenario; and our differences.

A difference on purpose is a record, too: what is seen of ours instead, with the reason in `differences.toml`. So
another difference cannot hide behind one that is known.
"""

from __future__ import annotations

import json
import tomllib
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.world import Seen

HERE = Path(__file__).parent
RECORDS = HERE / "records"
OURS = RECORDS / "accountd"
REASONS = HERE / "differences.toml"

_NOTHING = object()
"""Stands for what is not there, which is not null."""


class Change(NamedTuple):
    """One place in which two records differ."""

    where: str
    before: object
    after: object

    def __str__(self) -> str:
        return f"step {self.where}: {_render(self.before)}\n      now {_render(self.after)}"


def _render(fact: object) -> str:
    return "nothing" if fact is _NOTHING else json.dumps(fact, ensure_ascii=False)


def versions() -> list[str]:
    """Name the releases that there are records of, the oldest first."""
    found = [folder.name for folder in RECORDS.iterdir() if folder.name[0].isdigit()]
    return sorted(found, key=version_key)


def version_key(version: str) -> tuple[int, ...]:
    """Give what releases are ordered by."""
    return tuple(int(part) for part in version.split("."))


def load(folder: Path, name: str) -> Seen:
    """Read a record. Raises FileNotFoundError where there is none."""
    record: Seen = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return record


def save(folder: Path, name: str, seen: Seen) -> None:
    """Write a record, with the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(seen, indent=1, ensure_ascii=False) + "\n"
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def expected(name: str) -> Seen:
    """Give what has to be seen of ours: what the newest release shows, or what we show instead, on purpose."""
    return load(OURS if name in reasons() else RECORDS / versions()[-1], name)


def reasons() -> dict[str, str]:
    """Read why ours differs, by scenario."""
    return {name: str(entry["reason"]) for name, entry in tomllib.loads(REASONS.read_text("utf-8")).items()}


def compare(before: object, after: object, where: str = "") -> Iterator[Change]:
    """List the places in which two records differ, as far in as they can be named."""
    match before, after:
        case dict(), dict():
            for key in sorted(before.keys() | after.keys()):
                yield from compare(before.get(key, _NOTHING), after.get(key, _NOTHING), f"{where}.{key}")
        case list(), list():
            for number, (old, new) in enumerate(zip_longest(before, after, fillvalue=_NOTHING)):
                yield from compare(old, new, f"{where}[{number}]" if where else str(number))
        case _ if before != after:
            yield Change(where, before, after)
