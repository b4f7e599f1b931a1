"""Wrong edits, as data: what a tired engineer might do to the package, each with the tests that should notice.

They are in the TOML files beside this, one for each part of the package. Its `tests` are what pytest is given for
each file, unless an edit names its own; its `needs` are programs without which these tests have nothing to run on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "daemon" / "accountd"


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of them. `old` is in the file exactly once; `mistake` says in one line what goes wrong with `new`."""

    file: str
    mistake: str
    old: str
    new: str
    tests: str = ""
    needs: tuple[str, ...] = ()

    def apply_to(self, source: str) -> str:
        """Make the mistake. Raises ValueError where it cannot be made any more."""
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"{self.file}: the old text of {self.mistake!r} is there {found} times")
        return source.replace(self.old, self.new)


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tests: dict[str, str]
    edits: tuple[Edit, ...]
    needs: tuple[str, ...] = ()


def load_edits() -> Iterator[Edit]:
    """Read all that there are."""
    for path in sorted(HERE.glob("*.toml")):
        part = msgspec.toml.decode(path.read_bytes(), type=_Part)
        for edit in part.edits:
            yield msgspec.structs.replace(edit, tests=edit.tests or part.tests[edit.file], needs=part.needs)
