"""The locks have what `pyproject.toml` asks for, and nothing that is not named by its hash; so has the SBOM."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PLAIN = "requirements.lock"
WHOLE = "requirements-keyring.lock"
WANTED = [
    (Requirement(text), lock)
    for lock, texts in {
        PLAIN: PROJECT["dependencies"],
        WHOLE: PROJECT["dependencies"] + PROJECT["optional-dependencies"]["keyring"],
    }.items()
    for text in texts
]


def read_lock(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Give each entry by its name, with its hashes. Raises ValueError for a line that is none of the two."""
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for entry in re.sub(r" \\\n +", " ", text).splitlines():
        pinned, *hashes = entry.split(" --hash=")
        requirement = Requirement(pinned)
        found[canonicalize_name(requirement.name)] = requirement, hashes
    return found


@pytest.mark.parametrize(("wanted", "lock"), WANTED, ids=str)
def test_each_dependency_is_locked_at_or_above_its_minimum(wanted: Requirement, lock: str) -> None:
    """On the same platforms; after another minimum, `make lock` has to be run."""
    locked, _ = read_lock(lock)[canonicalize_name(wanted.name)]
    [pin] = locked.specifier
    assert pin.operator == "=="
    assert wanted.specifier.contains(pin.version)
    assert str(locked.marker) == str(wanted.marker)


@pytest.mark.parametrize("lock", [PLAIN, WHOLE])
def test_each_entry_has_hashes_and_no_address(lock: str) -> None:
    """Whoever serves the packages cannot serve others; and who that is, is for whoever installs to say."""
    for requirement, hashes in read_lock(lock).values():
        assert hashes, requirement
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", found) for found in hashes)
        assert requirement.url is None
    assert "://" not in (ROOT / lock).read_text()


def test_without_the_keyring_there_is_nothing_to_compile_it_with() -> None:
    """What is large is in the extra alone, and of what both have it is the same release."""
    plain, whole = read_lock(PLAIN), read_lock(WHOLE)
    assert {"cryptography", "secretstorage", "keyring"} <= whole.keys() - plain.keys()
    assert {name: str(whole[name][0].specifier) for name in plain} == {
        name: str(locked.specifier) for name, (locked, _) in plain.items()
    }


@pytest.mark.process
def test_the_sbom_has_each_package_with_its_hashes() -> None:
    """What `make sbom` writes: CycloneDX, of the whole lock."""
    command = ["-m", "cyclonedx_py", "requirements", "--pyproject", "pyproject.toml", WHOLE]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    bom = json.loads(done.stdout)
    assert (bom["bomFormat"], bom["metadata"]["component"]["name"]) == ("CycloneDX", "accountd")
    found = {
        part["name"]: {mark["content"] for ref in part["externalReferences"] for mark in ref.get("hashes", ())}
        for part in bom["components"]
    }
    assert found == {
        name: {text.removeprefix("sha256:") for text in hashes} for name, (_, hashes) in read_lock(WHOLE).items()
    }
