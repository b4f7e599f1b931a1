"""Exit codes, variables, signals, files and methods on the pages are those of the code."""

from __future__ import annotations

import ast
import re
import signal
from pathlib import Path
from typing import Final

import pytest

from accountd.cli import exits
from accountd.protocol.methods import METHODS

PROJECT: Final = Path(__file__).parents[2]
CODE: Final = {path: path.read_text(encoding="utf-8") for path in sorted(PROJECT.glob("daemon/accountd/**/*.*y"))}
UNITS: Final = "".join(path.read_text(encoding="utf-8") for path in PROJECT.glob("contrib/*d/*"))
PAGES: Final = [PROJECT / "README.md", *sorted(PROJECT.glob("docs/*.md"))]
TEXT: Final = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

FOREIGN: Final = {
    "SO_PEERCRED": "an option of sockets, for authors of clients",
    "LOCAL_PEERCRED": "the same on macOS",
    "LISTEN_PID": "put together from its parts where it is read",
}


def section(page: str, heading: str) -> str:
    """Give what stands below a heading of a page."""
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    return re.split(r"(?m)^#+ ", text.partition(f"# {heading}\n")[2])[0]


def test_the_exit_codes_are_those_of_the_command() -> None:
    """The table has each, and no other; so has the help, which names the same verbs."""
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    codes = codes - {exits.SIGNALLED} | {exits.SIGNALLED + signal.SIGTERM}
    rows = dict(re.findall(r"(?m)^\| ([\d, ]+) \| (.*) \|$", section("operations.md", "Exit codes")))
    assert {int(code) for cell in rows for code in cell.split(", ")} == codes
    assert {
        int(code)
        for code in re.findall(r"(?m)^  (\d+) |; (\d+) with", exits.DOCUMENTATION)
        for code in code
        if code
    } == codes
    for code in ("3", "4"):
        verbs = re.search(rf"(?m)^  {code} .*\((.*)\)$", exits.DOCUMENTATION)
        assert verbs is not None
        assert f"({verbs[1]})" in rows[code].replace("`", "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_in_capitals_are_in_the_code(page: Path) -> None:
    """Variables, signals, constants, and what the system calls things: a page names none that nothing knows."""
    code = "\n".join(CODE.values()) + UNITS
    names = set(
        re.findall(r"`(?:[\w.]+=)?\$?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|SIG[A-Z]+)", page.read_text(encoding="utf-8"))
    )
    assert sorted(name for name in names - FOREIGN.keys() if not re.search(rf"(?<![A-Z]){name}\b", code)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_code_are_there(page: Path) -> None:
    """A module is named by its path in the package, a test below tests/, all else from the top."""
    named = set(re.findall(r"`([\w/]+\.py)(?:::\w+)?`", page.read_text(encoding="utf-8")))
    places = (PROJECT / "daemon" / "accountd", PROJECT / "tests", PROJECT)
    assert sorted(path for path in named if not any((place / path).is_file() for place in places)) == []


def test_every_variable_that_is_read_is_on_a_page() -> None:
    """By whichever module, in whichever way; but for a field of os-release, and a part of a name."""
    read = {name for text in CODE.values() for name in _variables(ast.parse(text))} - {"VERSION_ID", "FDNAMES"}
    assert {"CODEX_HOME", "NOTIFY_SOCKET", "BROWSER"} <= read
    assert sorted(name for name in read if not re.search(rf"\b{name}\b", TEXT)) == []


def _variables(tree: ast.Module) -> set[str]:
    """Give the texts in capitals that something is asked for: `.get("X")`, `["X"]`, `"X" in`."""
    asked: list[ast.expr] = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="get" | "getenv" | "pop"), args=[first, *_]):
                asked.append(first)
            case ast.Subscript(slice=key):
                asked.append(key)
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()]):
                asked.append(left)
    found = {node.value for node in asked if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {name for name in found if re.fullmatch(r"[A-Z][A-Z0-9_]{3,}", name)}


def test_the_requests_in_turn_are_those_of_the_table() -> None:
    """The page names each method whose answer later requests wait for."""
    told = re.search(r"(`initialize`, .*) are \*\*in turn\*\*", section("protocol.md", "Order"))
    assert told is not None
    assert set(re.findall(r"`([\w/]+)`", told[1])) == {name for name, method in METHODS.items() if method.in_turn}


def test_what_is_codexs_is_in_the_code() -> None:
    """Each path, parameter, member and word that the page has for the peer's."""
    told = re.findall(r"`(?:[A-Z]+ )?([a-z_A-Z/ .-]+)`", section("protocol.md", "What is Codex's"))
    words = {word for word in told if not word.endswith((".py", ".json"))}
    code = "\n".join(CODE.values())
    assert len(words) >= 40
    assert sorted(word for word in words if not re.search(rf"[\"}} ]{re.escape(word)}[\":]", code)) == []
