"""Which codex is run, how, and with what in its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.errors import AgentUnavailable
from accountd.front.command import render_command, render_environment
from accountd.front.program import find_program

if TYPE_CHECKING:
    from pathlib import Path


def make(folder: Path, name: str = "codex", says: str = "codex-cli 0.171.0") -> Path:
    """Make a program that says its version."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return program


@pytest.mark.process
async def test_what_is_named_comes_first(tmp_path: Path) -> None:
    """The variable, then the configuration, then PATH."""
    path, named, configured = (str(make(tmp_path / name)) for name in ("path", "named", "configured"))
    environ = {"PATH": str(tmp_path / "path"), "ACCOUNTD_CODEX": named}
    assert (await find_program(environ, configured)).path == named
    del environ["ACCOUNTD_CODEX"]
    assert (await find_program(environ, configured)).path == configured
    found = await find_program(environ)
    assert (found.path, found.version) == (path, "0.171.0")


@pytest.mark.process
async def test_accountd_is_never_its_own_agent(tmp_path: Path) -> None:
    """A link named codex, for clients that look for that name, is passed over; so is what is not absolute."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "codex").symlink_to(make(tmp_path / "bin", "accountd"))
    real = make(tmp_path / "real")
    found = await find_program({"PATH": f".:{tmp_path / 'ours'}:{real.parent}"})
    assert found.path == str(real)


@pytest.mark.process
@pytest.mark.parametrize(
    ("says", "told"),
    [
        (None, "no `codex` on PATH.*npm install"),
        ("codex-cli 0.156.9", "older than 0.157"),
        ("hello", "does not say which Codex"),
    ],
)
async def test_why_there_is_none_is_told_with_what_to_do(tmp_path: Path, says: str | None, told: str) -> None:
    """Missing, too old, or something else of that name."""
    if says is not None:
        make(tmp_path, says=says)
    with pytest.raises(AgentUnavailable, match=told):
        await find_program({"PATH": str(tmp_path)})


@pytest.mark.parametrize("named", ["nowhere", "/etc/passwd"])
async def test_what_is_named_and_cannot_be_run_is_an_error(named: str) -> None:
    """Nothing else is taken instead."""
    with pytest.raises(AgentUnavailable, match=f"ACCOUNTD_CODEX is {named}"):
        await find_program({"PATH": "/usr/bin:/bin", "ACCOUNTD_CODEX": named})


def test_flags_stay_on_their_side_and_ours_come_last() -> None:
    """Of two that say the same the last one counts, and the login is kept in memory alone."""
    assert render_command("/codex", ["--profile", "x"], ["-c", 'cli_auth_credentials_store="file"'], "/s") == [
        "/codex",
        "--profile",
        "x",
        "app-server",
        "-c",
        'cli_auth_credentials_store="file"',
        "-c",
        'cli_auth_credentials_store="ephemeral"',
        "--listen",
        "unix:///s",
    ]


def test_no_credential_is_in_its_environment() -> None:
    """What would be a login beside the one that it is given."""
    keys = ("CODEX_ACCESS_TOKEN", "CODEX_API_KEY", "OPENAI_API_KEY")
    assert render_environment({"PATH": "/bin", **dict.fromkeys(keys, "x")}) == {"PATH": "/bin"}
