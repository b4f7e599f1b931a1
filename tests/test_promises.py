"""What the documents say is shown by a test is shown by one that exists."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENTS = sorted(TESTS.parent.glob("docs/*.md"))


def find_faults(document: str) -> list[str]:
    """Name what a document calls `file::test`, or `::test` for the file named last, and is none."""
    faults = []
    file = ""
    for number, line in enumerate(document.splitlines(), 1):
        for named, test in re.findall(r"`([\w/]+\.py)?::(\w+)`", line):
            file = named or file
            if test not in _names(TESTS / file):
                faults.append(f"{number}: {file}::{test}")
    return faults


@functools.cache
def _names(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text()) if path.is_file() else ast.Module([], [])
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(path: Path) -> None:
    """Under the name and in the file that it is said to have."""
    assert not find_faults(path.read_text())


def test_one_that_does_not_exist_is_found() -> None:
    """In a file, in the file named before, and in no file."""
    here = "`test_promises.py::test_one_that_does_not_exist_is_found`, `::find_faults`"
    assert find_faults(f"{here}\n`::test_x`\n`gone.py::test_y`") == [
        "2: test_promises.py::test_x",
        "3: gone.py::test_y",
    ]


def test_the_promises_are_looked_at() -> None:
    """There is something to check, in the form that is checked."""
    assert len(re.findall(r"::test_\w+`", (TESTS.parent / "docs" / "promises.md").read_text())) > 100
