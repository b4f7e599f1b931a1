"""Which Codex is named in our file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.config.agent import read_agent_program
from accountd.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", None),
        ("limits.requests = 99", None),
        ('[agent]\ncodex = "~/bin/codex"', "~/bin/codex"),
        ("agent = 7", ":1: agent must be a table"),
        ('[agent]\ncodex = " "', ":2: agent.codex must be the path or the name of a program"),
        ("[agent]\ncodex = 7", ":2: agent.codex must be the path or the name of a program"),
    ],
)
def test_a_program_is_named_or_the_line_is_told(text: str, read: str | None, tmp_path: Path) -> None:
    """As with every key of the file."""
    file = tmp_path / "accountd.toml"
    file.write_text(text)
    try:
        found = read_agent_program({"CODEX_HOME": str(tmp_path)})
    except ConfigError as error:
        found = str(error).removeprefix(str(file))
    assert found == read
