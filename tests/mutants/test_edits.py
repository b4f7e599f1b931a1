"""The wrong edits can still be made. That they are noticed takes minutes: `make mutants`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from mutants.edits import HERE, PACKAGE, load_edits

if TYPE_CHECKING:
    from mutants.edits import Edit

EDITS = tuple(load_edits())


def test_there_are_many_and_no_two_are_the_same() -> None:
    """A list that is halved by a slip of the hand is no list."""
    assert len(EDITS) == len({(edit.file, edit.mistake) for edit in EDITS})
    assert len(EDITS) >= 100


@pytest.mark.parametrize("file", sorted({edit.file for edit in EDITS}))
def test_each_can_still_be_made(file: str) -> None:
    """Its old text is there once, and what it becomes is another text that compiles."""
    source = (PACKAGE / file).read_text()
    for edit in EDITS:
        if edit.file == file:
            mutant = edit.apply_to(source)
            assert mutant != source, edit.mistake
            compile(mutant, file, "exec")


def test_the_tests_that_should_notice_are_there() -> None:
    """Each selection names files and folders that exist."""
    for selection in {edit.tests for edit in EDITS}:
        for name in re.findall(r"tests/\S+", selection):
            path, _, _ = name.partition("::")
            assert (HERE.parents[1] / path).exists(), name


@pytest.mark.parametrize("times", [0, 2])
def test_an_edit_that_has_lost_its_place_says_so(times: int) -> None:
    """Neither nowhere nor in two places is a place."""
    edit: Edit = EDITS[0]
    with pytest.raises(ValueError, match=f"is there {times} times"):
        edit.apply_to(edit.old * times)
