"""What is told of the programs of Codex beside the daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from accountd.doctor import agent
from accountd.doctor.agent import check_codex, check_foreign_servers, check_front
from accountd.doctor.surroundings import Daemon
from accountd.system.foreign_servers import ForeignServer
from fakes.surroundings import daemon_with, surroundings

OURS, SILENT = daemon_with(Path("/h")), Daemon(trouble="no answer", pid=4711)


def put_codex(folder: Path, version: str) -> str:
    """Put a codex into a folder, and return that."""
    folder.mkdir()
    (folder / "codex").write_text(f"#!/bin/sh\necho codex-cli {version}\n")
    (folder / "codex").chmod(0o755)
    return str(folder)


@pytest.mark.process
@pytest.mark.parametrize(
    ("versions", "named", "verdict", "words"),
    [
        ([], False, "ok", "there is no codex on PATH"),
        (["0.171.0"], False, "ok", "`accountd app-server` runs Codex 0.171.0 at"),
        (["0.1.0"], False, "warn", "`accountd app-server` has accounts alone: Codex 0.1.0 at"),
        (["0.171.0", "0.169.0"], False, "warn", "`accountd app-server` runs Codex 0.171.0 at"),
        (["0.171.0", "0.169.0"], True, "ok", "`accountd app-server` runs Codex 0.169.0 at"),
    ],
)
async def test_the_codex_that_is_run_is_told(
    versions: list[str], named: bool, verdict: str, words: str, tmp_path: Path
) -> None:
    """None is needed for accounts; one that cannot be used, or is one of several, should be known."""
    folders = [put_codex(tmp_path / version, version) for version in versions]
    if named:
        (tmp_path / "accountd.toml").write_text(f'agent.codex = "{folders[-1]}/codex"')
    found = await check_codex(surroundings(tmp_path, environ={"PATH": ":".join(folders), "ACCOUNTD_CODEX": ""}))
    assert found.verdict == verdict
    assert found.summary.startswith(words)
    assert (found.remedy is None) == (verdict == "ok")
    assert "install it" not in found.summary


@pytest.mark.parametrize(
    ("there", "role", "verdict", "words"),
    [
        (Daemon(is_absent=True), None, "ok", "starts a server of its own"),
        (OURS, None, "ok", "uses the account of the daemon, by pid 4711"),
        (SILENT, "daemon", "warn", "uses Codex's own daemon (pid 4711)"),
        (SILENT, None, "fail", "waits for who listens at"),
    ],
)
async def test_who_serves_plain_codex_is_told(
    there: Daemon, role: str | None, verdict: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codex's own server, which does not speak as ours do, and one that hangs are told apart by their processes."""
    foreign = [ForeignServer(4711, role)] if role is not None else []  # type: ignore[arg-type]  # it is a literal
    monkeypatch.setattr(agent, "find_foreign_servers", lambda _: foreign)
    looked_at = surroundings(Path("/h"), daemon=there)
    found = await check_front(looked_at)
    assert found.verdict == verdict
    assert found.summary.startswith(f"plain `codex` {words}")
    assert check_foreign_servers(looked_at).verdict == ("warn" if foreign else "ok")
