"""`accountd service` with launchd: a LaunchAgent of the user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.exits import Failure
from accountd.cli.service.steps import ask, read
from accountd.cli.service.unit_files import LAUNCHD_AGENT_LABEL, render_launchd, render_launchd_agent
from accountd.cli.terminal import one_line, say
from accountd.errors import describe_os_error
from accountd.files.own_folder import find_own_folder
from accountd.system.activation import LAUNCHD_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accountd.cli.service.steps import Steps


def install(steps: Steps, command: Sequence[str], socket: str, *, dry_run: bool) -> None:
    """Have the property list, and launchd listen on the socket."""
    log = find_own_folder(os.environ).log
    if not dry_run:
        for folder in (os.path.dirname(socket), os.path.dirname(log)):  # launchd makes none
            try:
                os.makedirs(folder, mode=0o700, exist_ok=True)
            except OSError as error:
                raise Failure(f"cannot make {folder}: {describe_os_error(error)}") from error
    _install(steps, LAUNCHD_LABEL, render_launchd(command, socket, log))
    say("The first client starts the daemon.")


def install_agent(steps: Steps, command: Sequence[str]) -> None:
    """Have the property list of the app-server that plain `codex` uses, and run it, beside the daemon's."""
    log = find_own_folder(os.environ).log
    _install(steps, LAUNCHD_AGENT_LABEL, render_launchd_agent(command, os.environ.get("PATH"), log))
    say("Plain `codex` uses the account from now on, unless a server of Codex's own is running.")


def _install(steps: Steps, label: str, content: bytes) -> None:
    changed = steps.write(_path(label), content)
    loaded = _is_loaded(label)
    if changed and loaded:
        steps.run("launchctl", "bootout", _job(label))
    if changed or not loaded:
        steps.run("launchctl", "bootstrap", _domain(), _path(label))


def uninstall(steps: Steps, *, dry_run: bool) -> None:  # noqa: ARG001  # as the other one's
    """End the daemon, and have no property list."""
    present = [label for label in (LAUNCHD_AGENT_LABEL, LAUNCHD_LABEL) if read(_path(label)) is not None]
    if LAUNCHD_LABEL not in present and _is_loaded(LAUNCHD_LABEL):
        present.append(LAUNCHD_LABEL)
    if not present:
        say("the service is not installed")
    for label in present:
        if _is_loaded(label):
            steps.run("launchctl", "bootout", _job(label))
        steps.remove(_path(label))


def status(command: Sequence[str]) -> None:
    """Say whether it is installed, loaded and running."""
    found = read(_path(LAUNCHD_LABEL))
    wanted = render_launchd(command, paths.socket_path(os.environ), find_own_folder(os.environ).log)
    words = "no" if found is None else "yes" if found == wanted else "yes, but not as this version would"
    say(f"Installed  {words}")
    outcome = ask("launchctl", "print", _job(LAUNCHD_LABEL))
    say(f"Loaded     {'no' if outcome.code else 'yes'}")
    pids = [line.partition("=")[2].strip() for line in outcome.out.splitlines() if line.strip().startswith("pid =")]
    say(f"Daemon     {f'running, pid {one_line(pids[0])}' if pids else 'not running'}")
    if read(_path(LAUNCHD_AGENT_LABEL)) is not None:
        say(f"App-server {'loaded' if _is_loaded(LAUNCHD_AGENT_LABEL) else 'not loaded'}")


def _path(label: str) -> str:
    return os.path.join(paths.launch_agents_folder(), f"{label}.plist")


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _job(label: str) -> str:
    return f"{_domain()}/{label}"


def _is_loaded(label: str) -> bool:
    return ask("launchctl", "print", _job(label)).code == 0
