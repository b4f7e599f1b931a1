"""`accountd service` with systemd: units of the user, and the manager that reads them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.exits import Failure
from accountd.cli.service.steps import ask, read
from accountd.cli.service.unit_files import read_unit, render_systemd, render_systemd_agent
from accountd.cli.terminal import one_line, say
from accountd.paths import AGENT_UNIT, SERVICE_DROP_IN, SERVICE_UNIT, SOCKET_UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accountd.cli.service.steps import Steps

_SYSTEMCTL = ("systemctl", "--user")
_LOG_IN = "log in as this user, not by su or sudo"
"""What gives a user a manager, and the folder in XDG_RUNTIME_DIR."""

_NO_NAMESPACE = ("217", "218", "226")
"""With what a unit ends whose sandbox could not be made: EXIT_USER, EXIT_CAPABILITIES, EXIT_NAMESPACE."""


def install(steps: Steps, command: Sequence[str], socket: str, *, dry_run: bool) -> None:
    """Have the units, the socket that starts the daemon, and a daemon that has shown that it can run."""
    if not dry_run:
        _require_manager()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "").strip() or f"/run/user/{os.getuid()}"
    usual = os.path.join(runtime, "accountd", paths.SOCKET)
    if socket != usual:
        advice = f"unset CODEX_HOME and ACCOUNTD_SOCKET, and {_LOG_IN}"
        raise Failure(f"the service has the usual CODEX_HOME and listens on {usual}, not on {socket}; {advice}")
    active = _show(SOCKET_UNIT, "ActiveState") == "active"
    if not active and (holder := _find_daemon(socket)) is not None:
        raise Failure(
            f"a daemon that is no service listens on {socket}; end it with `kill {holder}`, and try again"
        )
    files = render_systemd(command).items()
    changed = [steps.write(_path(name), content) for name, content in files]
    if any(changed):
        steps.run(*_SYSTEMCTL, "daemon-reload")
    steps.run(*_SYSTEMCTL, "enable", "--now", SOCKET_UNIT)
    _start(steps, "restart" if any(changed) else "start")
    say("The first client starts the daemon. To keep it while you are logged out: loginctl enable-linger")


def _start(steps: Steps, verb: str) -> None:
    """Start the daemon, to see that it can; without a sandbox of namespaces if the system gives users none."""
    outcome = steps.attempt(*_SYSTEMCTL, verb, SERVICE_UNIT)
    if not outcome.code:
        return
    if _show(SERVICE_UNIT, "ExecMainStatus") not in _NO_NAMESPACE:
        raise Failure("the daemon does not start; `journalctl --user -u accountd` says why")
    say("this system gives no namespaces to users; what needs one is turned off")
    steps.write(_drop_in(), read_unit(SERVICE_DROP_IN))
    steps.run(*_SYSTEMCTL, "daemon-reload")
    steps.run(*_SYSTEMCTL, "reset-failed", SOCKET_UNIT, SERVICE_UNIT)
    steps.run(*_SYSTEMCTL, "start", SOCKET_UNIT, SERVICE_UNIT)


def install_agent(steps: Steps, command: Sequence[str]) -> None:
    """Have the unit of the app-server that plain `codex` uses, and run it, beside the daemon's."""
    content = render_systemd_agent(command, os.environ.get("PATH"))[AGENT_UNIT]
    changed = steps.write(_path(AGENT_UNIT), content)
    if changed:
        steps.run(*_SYSTEMCTL, "daemon-reload")
    steps.run(*_SYSTEMCTL, "enable", AGENT_UNIT)
    if steps.attempt(*_SYSTEMCTL, "restart" if changed else "start", AGENT_UNIT).code:
        raise Failure("the app-server does not start; `journalctl --user -u accountd-agent` says why")
    say("Plain `codex` uses the account from now on, unless a server of Codex's own is running.")


def _uninstall_agent(steps: Steps) -> None:
    """End the app-server, with the Codex that it has started, which would outlive it."""
    if read(_path(AGENT_UNIT)) is not None:
        steps.attempt(*_SYSTEMCTL, "kill", AGENT_UNIT)
        steps.run(*_SYSTEMCTL, "disable", "--now", AGENT_UNIT)
        steps.remove(_path(AGENT_UNIT))


def uninstall(steps: Steps, *, dry_run: bool) -> None:
    """End the daemon, and have no units."""
    present = [path for path in (_path(SOCKET_UNIT), _path(SERVICE_UNIT), _drop_in()) if read(path) is not None]
    if not present and read(_path(AGENT_UNIT)) is None:
        say("the service is not installed")
        return
    if not dry_run:
        _require_manager()
    _uninstall_agent(steps)
    steps.run(*_SYSTEMCTL, "disable", "--now", SOCKET_UNIT, SERVICE_UNIT)
    for path in present:
        steps.remove(path)
    with suppress(OSError):  # it is not there, or has a drop-in of somebody else
        os.rmdir(os.path.dirname(_drop_in()))
    steps.run(*_SYSTEMCTL, "daemon-reload")


def status(command: Sequence[str]) -> None:
    """Say whether it is installed, enabled and running."""
    found = {name: read(_path(name)) == content for name, content in render_systemd(command).items()}
    present = [name for name in found if read(_path(name)) is not None]
    words = "no" if not present else "yes" if all(found.values()) else "yes, but not as this version would"
    say(f"Installed  {words}")
    _require_manager()
    say(f"Socket     {_show(SOCKET_UNIT, 'UnitFileState') or 'not enabled'}, {_show(SOCKET_UNIT, 'ActiveState')}")
    pid = _show(SERVICE_UNIT, "MainPID")
    running = f", pid {pid}, {_show(SERVICE_UNIT, 'StatusText')}" if pid not in ("", "0") else ""
    say(f"Daemon     {_show(SERVICE_UNIT, 'ActiveState')}{one_line(running)}")
    if read(_path(AGENT_UNIT)) is not None:
        say(f"App-server {_show(AGENT_UNIT, 'ActiveState')}")


def _path(name: str) -> str:
    return os.path.join(paths.units_folder(os.environ), name)


def _drop_in() -> str:
    return os.path.join(_path(f"{SERVICE_UNIT}.d"), SERVICE_DROP_IN)


def _show(unit: str, name: str) -> str:
    return ask(*_SYSTEMCTL, "show", "--property", name, "--value", unit).out


def _require_manager() -> None:
    outcome = ask(*_SYSTEMCTL, "show", "--property", "Version")
    if outcome.code:
        reason = one_line(outcome.err.splitlines()[0]) if outcome.err else f"exit code {outcome.code}"
        advice = f"{_LOG_IN}, or run `loginctl enable-linger`; then try again"
        raise Failure(f"there is no systemd for this user here ({reason}); {advice}")


def _find_daemon(path: str) -> int | None:
    """Ask the kernel who listens there."""
    import socket

    from accountd.system.peer_credentials import peer_credentials

    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return None
        peer = peer_credentials(probe)
    return None if peer is None else peer.pid
