"""`requirements.lock` has what `pyproject.toml` asks for, and nothing that is not named by its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
WANTED = [
    Requirement(text) for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
]


def read_lock() -> dict[str, tuple[Requirement, list[str]]]:
    """Give each entry by its name, with its hashes. Raises ValueError for a line that is none of the two."""
    text = re.sub(r"^#.*\n", "", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for entry in re.sub(r" \\\n +", " ", text).splitlines():
        pinned, *hashes = entry.split(" --hash=")
        requirement = Requirement(pinned)
        found[canonicalize_name(requirement.name)] = requirement, hashes
    return found


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_each_dependency_is_locked_at_or_above_its_minimum(wanted: Requirement) -> None:
    """On the same platforms; after another minimum, `make lock` has to be run."""
    locked, _ = read_lock()[canonicalize_name(wanted.name)]
    [pin] = locked.specifier
    assert pin.operator == "=="
    assert wanted.specifier.contains(pin.version)
    assert str(locked.marker) == str(wanted.marker)


def test_each_entry_has_hashes_and_no_address() -> None:
    """Whoever serves the packages cannot serve others; and who that is, is for whoever installs to say."""
    for requirement, hashes in read_lock().values():
        assert hashes, requirement
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", found) for found in hashes)
        assert requirement.url is None
    assert "://" not in (ROOT / "requirements.lock").read_text()
