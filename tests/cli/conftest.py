"""What the tests of verbs on a terminal share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Close the terminals that a test puts here."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture
def run(terminals: list[Terminal], path: Path) -> type[Terminal]:
    """Start verbs on terminals that are closed after the test."""

    class Opened(Terminal):
        def __init__(self, *arguments: str, columns: int = 80, **environ: str) -> None:
            super().__init__(*arguments, columns=columns, **environ)
            terminals.append(self)

    return Opened
