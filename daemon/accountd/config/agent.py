"""Which Codex `accountd app-server` runs: the key `codex` of the table `[agent]`, in `accountd.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from accountd import paths
from accountd.config.own import OwnFiles

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_agent_program(environ: Mapping[str, str]) -> str | None:
    """Return the path or the name of the program, None where nothing is said. Raises ConfigError."""
    files = OwnFiles.read(Path(paths.codex_home(environ)))
    return files.text("agent", "codex", "the path or the name of a program")
