"""The daemon, the configuration, the ports and the service of this machine: each fault, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trio

from accountd.doctor.daemon import check_daemon, check_token_socket
from accountd.doctor.ports import check_ports
from accountd.doctor.service import check_service
from accountd.doctor.settings import check_config, check_requirements
from accountd.doctor.surroundings import Daemon, Surroundings, ask_daemon
from accountd.requirements import service as requirements
from fakes.app_server import INITIALIZED, AppServer, Raw
from fakes.surroundings import daemon_with, surroundings

if TYPE_CHECKING:
    from pathlib import Path

# the daemon


async def test_a_daemon_of_this_version_is_fine(tmp_path: Path) -> None:
    """Its version and its process are told."""
    found = await check_daemon(surroundings(tmp_path, daemon=daemon_with(tmp_path)))
    assert (found.verdict, found.details["pid"]) == ("ok", "4711")


async def test_no_daemon_is_to_be_known_and_none_is_started(tmp_path: Path) -> None:
    """The next client starts one, so it is no failure."""
    found = await check_daemon(surroundings(tmp_path))
    assert (found.verdict, found.remedy) == ("warn", "start one with `accountd status`")


@pytest.mark.parametrize(
    ("daemon", "verdict", "text"),
    [
        (Daemon(trouble="it is mute", pid=7), "fail", "the daemon does not answer: it is mute"),
        (Daemon(pid=7, home="/elsewhere"), "fail", "the daemon owns the login of /elsewhere"),
        (Daemon(pid=7, status={"version": "0.0.1"}), "warn", "the daemon is 0.0.1"),
        (Daemon(pid=7), "warn", "the daemon is of an older version"),
    ],
)
async def test_another_daemon_is_told_with_how_to_end_it(
    tmp_path: Path, daemon: Daemon, verdict: str, text: str
) -> None:
    """One that hangs, that is another home's, or another version."""
    found = await check_daemon(surroundings(tmp_path, daemon=daemon))
    assert found.verdict == verdict
    assert found.summary.startswith(text)
    assert ("kill 7" in (found.remedy or "")) == (daemon.trouble is not None)
    assert ("accountd restart" in (found.remedy or "")) == (verdict == "warn")


@pytest.mark.parametrize(
    ("status", "verdict", "text"),
    [
        (None, "ok", "no token socket is known of"),
        ({"tokenSocket": None}, "ok", "no token socket is known of"),
        ({"tokenSocket": {"path": "/box/s", "trouble": None}}, "ok", "containers can connect to /box/s"),
        ({"tokenSocket": {"path": "/box/s", "trouble": "a file"}}, "fail", "containers cannot connect: a file"),
    ],
)
async def test_a_token_socket_is_told_of(
    tmp_path: Path, status: dict[str, Any] | None, verdict: str, text: str
) -> None:
    """As the daemon tells of it, if it has one, and if there is one."""
    found = await check_token_socket(surroundings(tmp_path, daemon=Daemon(pid=7, status=status)))
    assert (found.verdict, found.summary) == (verdict, text)
    assert (await check_token_socket(surroundings(tmp_path))).verdict == "ok"


async def test_who_cannot_be_named_is_still_told_of(tmp_path: Path) -> None:
    """Where the kernel does not tell the process, there is another way to find it."""
    found = await check_daemon(surroundings(tmp_path, daemon=Daemon(trouble="mute")))
    assert "ss -xlp" in (found.remedy or "")


async def test_a_path_that_is_too_long_is_not_asked(tmp_path: Path) -> None:
    """The other check says why."""
    found = await check_daemon(surroundings(tmp_path, socket="/" + "x" * 120))
    assert (found.verdict, found.remedy) == ("warn", "see socket.path first")


def test_whoever_listens_is_asked_for_its_status(path: Path) -> None:
    """Home, status and process of a real socket; an older daemon has no status, and nobody is nobody."""
    assert ask_daemon(str(path)) == Daemon(is_absent=True)
    status = {"version": "0.1.0"}
    with AppServer(path, {"accountd/status": status}):
        found = ask_daemon(str(path))
    assert found == Daemon(pid=os.getpid(), home=INITIALIZED["codexHome"], status=status)
    with AppServer(path):
        assert ask_daemon(str(path)).status is None
    with AppServer(path, greeting=Raw(b"rubbish\n")):
        found = ask_daemon(str(path))
    assert (found.pid, "not JSON" in (found.trouble or "")) == (os.getpid(), True)


# the configuration


async def test_a_configuration_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """File, line and key; none at all is as good as one that can be read."""
    assert (await check_config(surroundings(tmp_path))).verdict == "ok"
    (tmp_path / "config.toml").write_text('x = 1\ncli_auth_credentials_store = "moon"\n')
    found = await check_config(surroundings(tmp_path))
    assert found.verdict == "fail"
    assert found.summary.startswith(f"{tmp_path}/config.toml:2: cli_auth_credentials_store must be one of ")
    (tmp_path / "config.toml").write_text("x = 1\n")
    assert (await check_config(surroundings(tmp_path))).verdict == "ok"
    (tmp_path / "accountd.toml").write_text("x = 1\n[limits]\ny = 1\n")
    found = await check_config(surroundings(tmp_path))
    assert (found.verdict, found.summary) == (
        "warn",
        f"{tmp_path}/accountd.toml:1: x is not known, and ignored; there are the tables [limits] and [agent] "
        "and [network] and [token_socket]; and 1 more",
    )


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (None, "ok"),
        ('allowed_login_methods = ["chatgpt"]\n', "ok"),
        ("allowed_login_methods = \n", "fail"),
        ('allowed_login_methods = ["api"]\n', "fail"),
    ],
)
async def test_what_the_machine_requires_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, verdict: str
) -> None:
    """One that cannot be read is a failure, and so is one that leaves no way to log in."""
    monkeypatch.setattr(requirements, "SYSTEM_FILE", tmp_path / "requirements.toml")
    (tmp_path / "config.toml").write_text('forced_login_method = "chatgpt"\n')
    if text is not None:
        (tmp_path / "requirements.toml").write_text(text)
    found = await check_requirements(surroundings(tmp_path))
    assert found.verdict == verdict, found


# the ports


async def free_port() -> int:
    """Find a port that nobody listens on."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listener.socket.getsockname()[1]
    await listener.aclose()
    return port


async def test_ports_are_free_or_somebodys(tmp_path: Path) -> None:
    """One that is taken is told with its holder; both are a failure; a login of the daemon itself is neither."""
    made_up = surroundings(tmp_path)
    [taken] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with taken:
        port = taken.socket.getsockname()[1]
        assert (await check_ports(made_up, (await free_port(),))).verdict == "ok"
        found = await check_ports(made_up, (port, await free_port()))
        assert (found.verdict, f"(pid {os.getpid()})" in found.summary) == ("warn", True)
        assert (await check_ports(made_up, (port,))).verdict == "fail"
        ours = surroundings(tmp_path, daemon=Daemon(pid=os.getpid()))
        assert (await check_ports(ours, (port, await free_port()))).verdict == "ok"


# the service


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a unit for the user whose home is `tmp_path`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".config/systemd/user"
    folder.mkdir(parents=True)
    (folder / "accountd.service").touch()
    return folder / "accountd.service"


@pytest.mark.skipif(sys.platform == "darwin", reason="systemd is Linux's")
@pytest.mark.parametrize(
    ("states", "verdict", "remedy"),
    [
        ({"accountd.service": "active"}, "ok", None),
        ({"accountd.service": "inactive", "accountd.socket": "active"}, "ok", None),
        ({"accountd.service": "inactive"}, "warn", "`systemctl --user start accountd.service`"),
        ({"accountd.service": "failed"}, "fail", "see why with `journalctl --user -u accountd.service`"),
        ({}, "warn", "log in to a session of your own"),
    ],
)
async def test_a_service_that_is_installed_is_asked_for(
    unit: Path, monkeypatch: pytest.MonkeyPatch, states: dict[str, str], verdict: str, remedy: str | None
) -> None:
    """As the user manager says; one that waits for its socket is as it should be."""

    async def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, 0, states.get(command[-1], "").encode() + b"\n")

    monkeypatch.setattr(trio, "run_process", run)
    found = await check_service(surroundings(unit.parents[3]))
    assert found.verdict == verdict
    assert (found.remedy or "").startswith(remedy or "")
    assert found.details["unit"] == str(unit)


async def test_no_service_is_no_fault(tmp_path: Path) -> None:
    """Clients start the daemon."""
    assert (await check_service(surroundings(tmp_path))).verdict == "ok"


async def test_a_manager_that_is_silent_or_absent_is_told(
    tmp_path: Path, unit: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """It is waited for a moment and no more."""

    async def hang(*_: Any, **__: Any) -> None:
        await trio.sleep_forever()

    async def lack(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("systemctl")

    for run in (hang, lack):
        monkeypatch.setattr(trio, "run_process", run)
        assert (await check_service(surroundings(tmp_path))).verdict == "warn"


# what the checks are given


async def test_the_real_surroundings_are_this_environments(home: Path) -> None:
    """The socket and the home of the environment, and the daemon at the former."""
    real = Surroundings({"HOME": str(home), "CODEX_HOME": str(home), "ACCOUNTD_SOCKET": str(home / "s")})
    assert (real.home, real.socket) == (home, home / "s")
    assert await real.daemon() == Daemon(is_absent=True)
    assert (await real.config()).codex_home == home
