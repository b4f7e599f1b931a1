"""The environment of the daemon beside that of the doctor: what is said where they agree, and where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.doctor.environment import check_environment
from accountd.doctor.surroundings import Daemon
from fakes.surroundings import daemon_with, surroundings

if TYPE_CHECKING:
    from pathlib import Path

PROXY = {"HTTPS_PROXY": "http://ada:hunter2@proxy:3128"}
TOLD = {"HTTPS_PROXY": "http://proxy:3128 (fingerprint c0e2)"}


@pytest.mark.parametrize(
    ("there", "here", "verdict", "words"),
    [
        ({}, {}, "ok", "the daemon has nothing unusual"),
        (TOLD, PROXY, "ok", "the daemon has HTTPS_PROXY=http://proxy:3128 (fingerprint c0e2)"),
        (TOLD, {}, "warn", "HTTPS_PROXY is http://proxy:3128 (fingerprint c0e2) in the daemon, and not set here"),
        ({}, PROXY, "warn", "HTTPS_PROXY is not set in the daemon, and http://proxy:3128 (fingerprint c0e2) here"),
        (
            {"SSL_CERT_FILE": "/a"},
            {"CODEX_CA_CERTIFICATE": "/a"},
            "warn",
            "CODEX_CA_CERTIFICATE is not set in the daemon, and /a here; SSL_CERT_FILE is /a in the daemon",
        ),
    ],
)
async def test_a_daemon_that_was_started_otherwise_is_told(
    there: dict[str, str], here: dict[str, str], verdict: str, words: str, tmp_path: Path
) -> None:
    """With each variable, its value on both sides, and how to have a daemon with those of here."""
    daemon = daemon_with(tmp_path, environment=there)
    found = await check_environment(surroundings(tmp_path, daemon=daemon, environ=here))
    assert found.verdict == verdict
    assert found.summary.startswith(words)
    assert "hunter2" not in found.summary
    assert (found.remedy is None) == (verdict == "ok")
    assert verdict == "ok" or str(found.remedy).startswith("`accountd restart`")


@pytest.mark.parametrize("daemon", [Daemon(is_absent=True), Daemon(trouble="x"), Daemon(status={"version": "0"})])
async def test_without_a_daemon_that_tells_it_is_that_of_here(daemon: Daemon, tmp_path: Path) -> None:
    """None runs, it does not answer, or is of an older version."""
    found = await check_environment(surroundings(tmp_path, daemon=daemon, environ=PROXY))
    assert (found.verdict, found.summary) == (
        "ok",
        "the daemon cannot be asked; this shell has HTTPS_PROXY=http://proxy:3128 (fingerprint c0e2)",
    )


async def test_what_env_file_says_is_of_here_as_well(tmp_path: Path) -> None:
    """The daemon reads it at its start; one that cannot be used is told of first."""
    (tmp_path / ".env").write_text("HTTPS_PROXY=http://proxy:3128\n")
    daemon = daemon_with(tmp_path, environment={})
    found = await check_environment(surroundings(tmp_path, daemon=daemon))
    assert found.summary == "HTTPS_PROXY is not set in the daemon, and http://proxy:3128 here"
    (tmp_path / ".env").write_bytes(b"NO_PROXY=\xff")
    found = await check_environment(surroundings(tmp_path, daemon=daemon))
    assert (found.verdict, found.summary) == ("warn", f"{tmp_path}/.env is not read as a whole: it is no UTF-8")
