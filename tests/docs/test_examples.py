"""Each configuration file on the pages is one: it is read, and nothing in it is warned of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from accountd.config import settings
from accountd.requirements.service import read_system_layer

PROJECT: Final = Path(__file__).parents[2]
BLOCKS: Final = [
    block
    for page in (PROJECT / "README.md", PROJECT / "docs" / "operations.md")
    for block in re.findall(r"(?ms)^```toml\n(.*?)^```$", page.read_text(encoding="utf-8"))
]


def test_the_pages_have_a_whole_example_of_each_file() -> None:
    """Each begins with where it is to be."""
    names = [block.partition("\n")[0] for block in BLOCKS]
    assert {"# /etc/codex/managed_config.toml", "# /etc/codex/requirements.toml"} < set(names)
    assert all(name.startswith("# ") and name.endswith(".toml") for name in names)


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_can_be_pasted(tmp_path: Path, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a file of that name; all of it counts."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    name = Path(block.partition("\n")[0].removeprefix("# "))
    folders = {"codex": tmp_path / "codex", "accountd": tmp_path / "own", ".codex": tmp_path}
    folder = folders[name.parent.name]
    folder.mkdir(exist_ok=True)
    (folder / name.name).write_text(block)
    environ = {"CODEX_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    config = settings.load(environ, tmp_path / "codex", tmp_path / "own")
    layer = read_system_layer(tmp_path / "codex" / "requirements.toml")
    assert (config.warnings, layer.warnings) == ((), ())
    (folder / name.name).unlink()
    assert config != settings.load(environ, tmp_path / "codex", tmp_path / "own") or layer.keys
