"""The diagram of a login's life in docs/login.md, from the table of its moves; GitHub renders it (Mermaid)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from accountd.login.lifecycle import MOVES, State

PAGE: Final = Path(__file__).parents[2] / "docs" / "login.md"

_DIAGRAM: Final = re.compile(r"(?ms)^```mermaid\n.*?^```$")


def render_diagram() -> str:
    """Render the states, from the first to those that end it, in the order in which they are defined."""
    first, *_ = State
    moves = [f"{state.value} --> {to.value}" for state in State for to in State if to in MOVES[state]]
    ends = [f"{state.value} --> [*]" for state in State if not MOVES[state]]
    return "\n    ".join(["stateDiagram-v2", "direction LR", f"[*] --> {first.value}", *moves, *ends])


def draw(page: str) -> str:
    """Put the diagram into the page, in the place of the one that it has. Raises ValueError if it has none."""
    drawn, count = _DIAGRAM.subn(f"```mermaid\n{render_diagram()}\n```", page)
    if count != 1:
        raise ValueError(f"a page of one diagram has {count}")
    return drawn
