"""The kept inputs of the fuzzer, each through its target: what it found once is not there again."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_keeps_the_promises(name: str) -> None:
    """Seeds, and whatever has been found: no input breaks what its target holds to; nor does nothing at all."""
    inputs = sorted((CORPUS / name).iterdir())
    assert len(inputs) >= 5
    for path in inputs:
        try:
            TARGETS[name](path.read_bytes())
        except BaseException as error:  # it goes on, and says with what
            error.add_note(f"with {path}")
            raise
    TARGETS[name](b"")


def test_the_corpus_is_small_and_all_of_it_is_used() -> None:
    """Each folder is a target's, and no input is larger than what can be read at a glance."""
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert not [path for path in CORPUS.rglob("*") if path.is_file() and path.stat().st_size > 4096]
