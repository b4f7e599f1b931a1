"""Ours is as the newest release that we follow, step by step, over both framings; but for what is on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.codex.version import CODEX_VERSION
from compat import records
from compat.issuer import Served, serve_issuer
from compat.running import OURS, run_scenario
from compat.scenarios.all import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.clients import Framing


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give the scripted issuer."""
    with serve_issuer(tmp_path_factory.mktemp("issuer")) as served:
        yield served


@pytest.mark.parametrize("framing", ["ws", "lines"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_ours_is_as_the_record_says(name: str, framing: Framing, served: Served) -> None:
    """What a client sees of ours is what it would see of Codex."""
    seen = run_scenario(SCENARIOS[name], OURS, framing, served)
    differing = [*records.compare(records.expected(name), seen)]
    assert not differing, "\n".join(map(str, differing))


def test_the_version_that_is_claimed_is_that_of_the_records() -> None:
    """Who claims a release is held to it."""
    assert records.versions()[-1] == CODEX_VERSION


def test_every_scenario_has_a_record_of_the_newest_release_and_every_record_a_scenario() -> None:
    """Nothing is compared with nothing, and no record lies about unused."""
    newest = records.RECORDS / records.versions()[-1]
    assert {path.stem for path in newest.glob("*.json")} == SCENARIOS.keys()


def test_every_difference_is_one_and_has_its_reason() -> None:
    """What is no difference any more, or has no reason, does not stay on the list."""
    reasons, newest = records.reasons(), records.RECORDS / records.versions()[-1]
    assert {path.stem for path in records.OURS.glob("*.json")} == reasons.keys()
    for name, reason in reasons.items():
        assert reason.strip()
        assert any(records.compare(records.load(newest, name), records.load(records.OURS, name))), name


def test_people_are_told_of_every_difference() -> None:
    """The page of differences has each scenario, and the release."""
    page = (Path(__file__).parents[2] / "docs" / "differences.md").read_text(encoding="utf-8")
    assert {name for name in records.reasons() if f"`{name}`" not in page} == set()
    assert f"| | Codex {CODEX_VERSION.removesuffix('.0')} | accountd |" in page
