"""The example in TypeScript, and the client under it, as the compiler sees them and as node runs them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from accountd.cli import exits, main
from contrib.test_examples import EXAMPLES, check_story

if TYPE_CHECKING:
    from pathlib import Path

    from typescript.conftest import Tools

pytestmark = pytest.mark.timeout(600)  # the first of these tests fetches the tools


def test_it_is_strict_and_runs(tools: Tools, home: Path, tmp_path: Path) -> None:
    """With the types that `accountd schema --ts` writes, no word of it or of the client is of a wrong type."""
    for name in ("accountd.mjs", "websocket.mjs", "log_in.ts"):
        shutil.copy(EXAMPLES / name, tmp_path)
    assert main(["schema", "--ts", str(tmp_path / "accountd.ts")]) == exits.OK
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(tools.packages.with_name("node_modules"))
    flags = ("--strict", "--checkJs", "--target", "es2022", "--module", "nodenext", "--types", "node")
    assert tools.run("tsc", *flags, "--outDir", "out", "log_in.ts", "websocket.mjs", cwd=tmp_path) == ""
    check_story(["node", "log_in.js"], home, tmp_path / "out")
