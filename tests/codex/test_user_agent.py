"""Who this program says it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd import __version__
from accountd.codex import user_agent
from accountd.codex.version import CODEX_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Have the system named anew in each test, and after the last."""
    user_agent._operating_system.cache_clear()
    yield
    user_agent._operating_system.cache_clear()


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ('ID=debian\nVERSION_ID="12"\n', "Debian 12.0.0"),
        ("ID=ubuntu\nVERSION_ID=24.04\n", "Ubuntu 24.04.0"),
        ('PRETTY_NAME="x"\nID="alpine"\nVERSION_ID=3.20.1.7\n', "Alpine 3.20.1"),
        ("ID=arch\n", "Linux"),
        ("", "Linux"),
        (None, "Linux"),
        (b"ID=\xff", "Linux"),
    ],
    ids=["debian", "ubuntu", "four numbers", "rolling", "empty", "none", "no text"],
)
def test_the_system_is_named_with_three_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, release: str | bytes | None, name: str
) -> None:
    """As os-release(5) has it; what has no version, or cannot be read, is Linux."""
    monkeypatch.setattr(sys, "platform", "linux")
    file = tmp_path / "os-release"
    if release is not None:
        file.write_bytes(release if isinstance(release, bytes) else release.encode())
    monkeypatch.setattr(user_agent, "OS_RELEASE", str(file))
    assert f"({name}; " in user_agent.render_user_agent("tests")
    assert user_agent.platform_os() == "linux"


def test_macos_is_named_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """And `initialize` calls it macos."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert re.search(r"\(Mac OS [0-9]", user_agent.render_user_agent("tests"))
    assert user_agent.platform_os() == "macos"


@pytest.mark.parametrize(
    ("environ", "terminal"),
    [
        ({"TERM_PROGRAM": "kitty", "TERM": "xterm"}, "kitty"),
        ({"TERM": "xterm-256color"}, "xterm-256color"),
        ({}, "unknown"),
    ],
)
def test_the_terminal_comes_after_the_machine(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], terminal: str
) -> None:
    """Then whoever the client is, if there is one; our own version is last."""
    for variable in ("TERM", "TERM_PROGRAM"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    alone = user_agent.render_user_agent("tests")
    assert alone.startswith(f"tests/{CODEX_VERSION} (")
    assert alone.endswith(f") {terminal} accountd/{__version__}")
    assert user_agent.render_user_agent("tests", client="vim; 9").endswith(
        f"{terminal} (vim; 9) accountd/{__version__}"
    )


def test_a_header_can_carry_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the terminal calls itself: what no header may hold is an underscore."""
    monkeypatch.setenv("TERM_PROGRAM", "kä\r\nX: y")
    assert " k___X: y accountd/" in user_agent.render_user_agent("tests")
