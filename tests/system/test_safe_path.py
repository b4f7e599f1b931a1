"""What is taken out of `sys.path` for the command, and what stays."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import accountd
from accountd.system.safe_path import leave_out_working_folder

LIBRARY = os.path.dirname(os.__file__)  # noqa: PTH120  # as Python writes it
OURS = str(Path(accountd.__file__).parents[1])
HERE = "HERE"
"""Stands for the working folder."""


@pytest.mark.parametrize(
    ("variable", "before", "after"),
    [
        (None, ["/bin", LIBRARY], ["/bin", LIBRARY]),  # by its script
        (None, [HERE, LIBRARY], [LIBRARY]),  # python -m accountd
        (None, ["", ".", "x/y", LIBRARY], [LIBRARY]),  # as others may have put there
        ("", [HERE, LIBRARY], [LIBRARY]),
        (":/mine", ["/bin", HERE, "/mine", LIBRARY], ["/bin", "/mine", LIBRARY]),
        ("/mine:", ["/bin", "/mine", HERE, LIBRARY], ["/bin", "/mine", LIBRARY]),
        (".:x/../y", ["/bin", HERE, f"{HERE}/y", LIBRARY], ["/bin", LIBRARY]),
        (f":{HERE}", ["/bin", HERE, LIBRARY], ["/bin", HERE, LIBRARY]),  # it is named as what it is, too
        (HERE, [HERE, HERE, LIBRARY], [HERE, LIBRARY]),  # once for -m, and once because it is named
    ],
)
def test_no_place_is_left_that_depends_on_where_one_is(
    variable: str | None, before: list[str], after: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the folder of `python -m`, nor an empty or relative entry of PYTHONPATH; what was named stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if variable is not None:
        monkeypatch.setenv("PYTHONPATH", variable.replace(HERE, str(tmp_path)))
    monkeypatch.setattr(sys, "path", [place.replace(HERE, str(tmp_path)) for place in before])
    leave_out_working_folder()
    assert sys.path == [place.replace(HERE, str(tmp_path)) for place in after]


@pytest.mark.parametrize("folder", [LIBRARY, OURS])
def test_the_library_and_our_own_folder_stay(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is in there, and has an empty entry, would have no program left."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", ":")
    monkeypatch.setattr(sys, "path", ["/bin", LIBRARY, OURS])
    leave_out_working_folder()
    assert sys.path == ["/bin", LIBRARY, OURS]


def test_a_folder_that_is_gone_has_nothing_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command goes on from there."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "path", ["", LIBRARY])
    leave_out_working_folder()
    assert sys.path == [LIBRARY]
