"""Which Codex `accountd app-server` runs: the key `codex` of the table `[agent]`, in `accountd.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from accountd import paths
from accountd.config.toml_file import TomlFile

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_agent_program(environ: Mapping[str, str]) -> str | None:
    """Return the path or the name of the program, None where nothing is said. Raises ConfigError."""
    file = TomlFile.read(Path(paths.codex_home(environ)) / paths.LIMITS)
    table = file.values.get("agent", {})
    if not isinstance(table, dict):
        raise file.error("agent", complaint="must be a table")
    program = table.get("codex")
    if program is None or (isinstance(program, str) and program.strip()):
        return program
    raise file.error("agent", "codex", complaint="must be the path or the name of a program")
