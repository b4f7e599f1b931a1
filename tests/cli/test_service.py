"""`accountd service`: what it writes and runs, with tools that stand in for systemctl and launchctl."""

from __future__ import annotations

import os
import plistlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from accountd.cli import exits, main
from accountd.cli.service import find_command
from accountd.cli.service import launchd as service_launchd
from accountd.cli.service.steps import Steps
from accountd.cli.service.unit_files import read_unit, render_launchd, render_systemd
from accountd.paths import AGENT_UNIT, SERVICE_DROP_IN, SERVICE_UNIT, SOCKET_UNIT

pytestmark = pytest.mark.process

_TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >>"$HOME/ran"
case "$*" in
    *Version*) [ -z "$(cat "$HOME/refuses")" ] || { cat "$HOME/refuses" >&2; exit 1; } ;;
    *ActiveState*) echo inactive ;;
    *ExecMainStatus*) cat "$HOME/ends" ;;
    "--user restart accountd.service") [ ! -s "$HOME/ends" ] ;;
    print*) [ -e "$HOME/loaded" ] ;;
    bootstrap*) touch "$HOME/loaded" ;;
    bootout*) rm "$HOME/loaded" ;;
esac
"""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a home with the tools, which note what they are asked in `ran`."""
    home = tmp_path_factory.mktemp("h")
    (home / "bin").mkdir()
    for name in ("systemctl", "launchctl"):
        (home / "bin" / name).write_text(_TOOL)
        (home / "bin" / name).chmod(0o700)
    for name in ("ran", "refuses", "ends"):
        (home / name).write_text("")
    for name in ("CODEX_HOME", "ACCOUNTD_SOCKET", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    monkeypatch.setenv("PATH", f"{home / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "platform", "linux")
    return home


def ran(home: Path) -> list[str]:
    """Give what was run and changes something, and forget it."""
    lines = (home / "ran").read_text().splitlines()
    (home / "ran").write_text("")
    return [line for line in lines if " show " not in line and " print " not in line]


def test_the_app_server_is_run_beside_the_daemon_and_not_in_its_sandbox(home: Path) -> None:
    """Codex would inherit it; and the unit has the PATH on which codex and node were found."""
    assert main(["service", "install", "--agent"]) == exits.OK
    assert ran(home)[-3:] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable accountd-agent.service",
        "systemctl --user restart accountd-agent.service",
    ]
    text = unit(home, AGENT_UNIT).read_text()
    assert f"ExecStart={find_command()[0]} app-server --listen unix://\n" in text
    assert f"Environment=PATH={os.environ['PATH']}\n" in text
    sandbox = (
        "PrivateUsers",
        "RestrictNamespaces",
        "MemoryDenyWriteExecute",
        "SystemCallFilter",
        "NoNewPrivileges",
    )
    assert not any(directive in text for directive in sandbox)
    assert all(directive in unit(home, SERVICE_UNIT).read_text() for directive in sandbox)
    assert main(["service", "uninstall"]) == exits.OK
    assert ran(home)[:2] == [
        "systemctl --user kill accountd-agent.service",
        "systemctl --user disable --now accountd-agent.service",
    ]
    assert not unit(home, AGENT_UNIT).exists()
    assert main(["service", "status", "--agent"]) == exits.USAGE


def test_launchd_runs_the_app_server_as_a_job_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is begun again when it fails, and uninstalled with the daemon's."""
    monkeypatch.setattr(sys, "platform", "darwin")
    service_launchd.install_agent(Steps(dry_run=False), ["/opt/accountd"])
    place = home / "Library" / "LaunchAgents" / "accountd-agent.plist"
    job = plistlib.loads(place.read_bytes())
    assert job["ProgramArguments"] == ["/opt/accountd", "app-server", "--listen", "unix://"]
    assert (job["EnvironmentVariables"], job["KeepAlive"]) == (
        {"PATH": os.environ["PATH"]},
        {"SuccessfulExit": False},
    )
    service_launchd.uninstall(Steps(dry_run=False), dry_run=False)
    assert not place.exists()


def unit(home: Path, name: str) -> Path:
    """Give the path of a unit."""
    return home / ".config" / "systemd" / "user" / name


def test_install_is_done_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The units are written, and the socket enabled; a second time, what is there stays."""
    assert main(["service", "install"]) == exits.OK
    assert unit(home, SOCKET_UNIT).read_bytes() == read_unit(SOCKET_UNIT)
    assert f"ExecStart={find_command()[0]}" in unit(home, SERVICE_UNIT).read_text()
    assert ran(home) == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now accountd.socket",
        "systemctl --user restart accountd.service",
    ]
    assert "loginctl enable-linger" in capsys.readouterr().out
    assert main(["service", "install"]) == exits.OK
    assert ran(home)[-1] == "systemctl --user start accountd.service"
    assert capsys.readouterr().out.count("is as it should be") == 2


def test_uninstall_takes_it_all_back(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Disabled, ended and removed; a second time there is nothing to do."""
    main(["service", "install"])
    ran(home)
    assert main(["service", "uninstall"]) == exits.OK
    assert list(unit(home, "").iterdir()) == []
    assert ran(home) == [
        "systemctl --user disable --now accountd.socket accountd.service",
        "systemctl --user daemon-reload",
    ]
    capsys.readouterr()
    assert main(["service", "uninstall"]) == exits.OK
    assert capsys.readouterr().out == "the service is not installed\n"


def test_a_dry_run_does_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each step is said as something that would be done."""
    assert main(["service", "install", "--dry-run"]) == exits.OK
    assert ran(home) == []
    assert not unit(home, "").exists()
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("would ")]) == 5


def test_without_a_manager_it_says_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the manager's reason and the remedy; nothing is written."""
    (home / "refuses").write_text("Failed to connect to bus: No medium found\n")
    assert main(["service", "install"]) == exits.ERROR
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "No medium found" in err
    assert "loginctl enable-linger" in err
    assert not unit(home, "").exists()


def test_a_system_without_namespaces_gets_a_drop_in(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A daemon whose sandbox cannot be made is started without that part, which is said; uninstall removes it."""
    (home / "ends").write_text("226")
    assert main(["service", "install"]) == exits.OK
    assert unit(home, f"{SERVICE_UNIT}.d/{SERVICE_DROP_IN}").read_bytes() == read_unit(SERVICE_DROP_IN)
    assert ran(home)[-1] == "systemctl --user start accountd.socket accountd.service"
    assert "no namespaces" in capsys.readouterr().out
    assert main(["service", "uninstall"]) == exits.OK
    assert list(unit(home, "").iterdir()) == []


def test_a_daemon_that_does_not_start_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For any other reason than its sandbox: where to read why."""
    (home / "ends").write_text("1")
    assert main(["service", "install"]) == exits.ERROR
    assert "journalctl --user -u accountd" in capsys.readouterr().err


def test_a_daemon_of_ones_own_is_in_the_way(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two would own one login: the one that a verb has started is to be ended first."""
    (home / "run" / "accountd").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "run" / "accountd" / "accountd.sock"))
        listener.listen()
        assert main(["service", "install"]) == exits.ERROR
    assert f"`kill {os.getpid()}`" in capsys.readouterr().err
    assert ran(home) == []


def test_another_codex_home_has_no_service(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clients look for another socket than the units have, and both are named."""
    monkeypatch.setenv("CODEX_HOME", str(home / "other"))
    assert main(["service", "install"]) == exits.ERROR
    told = capsys.readouterr().err
    assert f"listens on {home}/run/accountd/accountd.sock, not on {home}/run/accountd/accountd-" in told
    assert "unset CODEX_HOME" in told


def test_status_tells_what_is_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not installed, installed, and installed by another version."""
    for words in ("no", "yes", "yes, but not as this version would"):
        assert main(["service", "status"]) == exits.OK
        assert f"Installed  {words}\n" in capsys.readouterr().out
        main(["service", "install"])
        if words == "yes":
            unit(home, SOCKET_UNIT).write_text("# old")
        capsys.readouterr()


def test_what_no_tool_should_see_is_not_in_its_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of the shell, and a proxy's password, do not go to systemctl."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    (home / "bin" / "systemctl").write_text('#!/bin/sh\nenv >"$HOME/seen"\n')
    main(["service", "install"])
    assert "sk-x" not in (home / "seen").read_text()


def test_paths_are_written_as_systemd_reads_them() -> None:
    """Blanks, letters of any script and its own signs are taken as they are."""
    text = render_systemd(["/a b/%h;é$HOME/accountd", "-P"])[SERVICE_UNIT].decode()
    assert '\nExecStart="/a b/%%h;é$HOME/accountd" -P serve\n' in text


@pytest.mark.parametrize("name", [SERVICE_UNIT, AGENT_UNIT])
def test_one_that_ends_for_an_upgrade_is_started_again(name: str) -> None:
    """By its exit code, also where nobody has the socket for it."""
    settings = read_unit(name).decode().splitlines()
    assert "Restart=on-failure" in settings
    assert not [line for line in settings if "ExitStatus=" in line and str(exits.UPGRADED) in line]


@pytest.mark.parametrize("sign", ["\n", "\r", "\t", "\x1b", "\x7f", "\udcff", '"', "'", "\\"])
def test_a_path_that_no_unit_can_have_is_refused(sign: str) -> None:
    """Nothing can be added to a unit by the name of a folder, and none is written that systemd would not load."""
    with pytest.raises(exits.Failure, match="choose another folder"):
        render_systemd([f"/a{sign}ExecStartPre=b/accountd"])


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("sign", ["\0", "\n", "\r", "\x1b", "\ufffe", "\udcff"])
def test_a_path_that_no_property_list_can_have_is_refused(place: int, sign: str) -> None:
    """XML has no escapes for control characters, and makes another one of a carriage return."""
    paths = ["/opt/accountd", "/run/s", "/log"]
    paths[place] += sign
    with pytest.raises(exits.Failure, match="choose another folder"):
        render_launchd(paths[:1], *paths[1:])


@pytest.mark.parametrize("path", ['/a"b', "/a'b", "/a\\b", "/a<&>b", "/a b%é"])
def test_a_property_list_has_every_other_path_as_it_is(path: str) -> None:
    """Quotes, backslashes and the signs of XML itself."""
    job = plistlib.loads(render_launchd([path], path, path))
    assert (
        job["ProgramArguments"][0] == job["StandardErrorPath"] == job["Sockets"]["accountd"]["SockPathName"] == path
    )


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd here; install your system's package"
)
def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` is silent, and the exposure is 3.0 at most."""
    for name, content in render_systemd(["/bin/true"]).items():
        (tmp_path / name).write_bytes(content)
    units = [str(tmp_path / name) for name in (SOCKET_UNIT, SERVICE_UNIT)]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    verify = ["systemd-analyze", "--user", "verify", *units]
    done = subprocess.run(verify, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
    security = ["systemd-analyze", "--user", "security", "--offline=true", "--threshold=30", units[1]]
    subprocess.run(security, env=environ, capture_output=True, check=True)


def test_launchd_gets_a_property_list(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is parsed, has the socket with its mode, and is loaded once; uninstall unloads and removes it."""
    sock = str(home / "run" / "accountd" / "accountd.sock")
    path = home / "Library" / "LaunchAgents" / "accountd.plist"
    for _ in range(2):
        service_launchd.install(Steps(dry_run=False), ["/opt/accountd"], sock, dry_run=False)
    job = plistlib.loads(path.read_bytes())
    assert job["ProgramArguments"] == ["/opt/accountd", "serve"]
    assert job["Sockets"] == {"accountd": {"SockPathName": sock, "SockPathMode": 0o600, "SockType": "stream"}}
    assert job["Umask"] == 0o077
    assert not set(job) - {
        *("Label", "ProgramArguments", "Sockets", "StandardErrorPath", "Umask", "SoftResourceLimits"),
        *("HardResourceLimits", "ExitTimeOut", "ProcessType"),
    }
    assert Path(sock).parent.stat().st_mode & 0o777 == 0o700
    assert ran(home) == [f"launchctl bootstrap gui/{os.getuid()} {path}"]
    service_launchd.uninstall(Steps(dry_run=False), dry_run=False)
    assert ran(home) == [f"launchctl bootout gui/{os.getuid()}/accountd"]
    assert not path.exists()
    capsys.readouterr()
    service_launchd.status(["/opt/accountd"])
    assert capsys.readouterr().out == "Installed  no\nLoaded     no\nDaemon     not running\n"
