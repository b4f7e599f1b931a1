"""`accountd service` with launchd: a LaunchAgent of the user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.exits import Failure
from accountd.cli.service.steps import ask, read
from accountd.cli.service.unit_files import render_launchd
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
    changed = steps.write(_path(), render_launchd(command, socket, log))
    loaded = _is_loaded()
    if changed and loaded:
        steps.run("launchctl", "bootout", _job())
    if changed or not loaded:
        steps.run("launchctl", "bootstrap", _domain(), _path())
    say("The first client starts the daemon.")


def uninstall(steps: Steps, *, dry_run: bool) -> None:  # noqa: ARG001  # as the other one's
    """End the daemon, and have no property list."""
    if read(_path()) is None and not _is_loaded():
        say("the service is not installed")
        return
    if _is_loaded():
        steps.run("launchctl", "bootout", _job())
    steps.remove(_path())


def status(command: Sequence[str]) -> None:
    """Say whether it is installed, loaded and running."""
    found = read(_path())
    wanted = render_launchd(command, paths.socket_path(os.environ), find_own_folder(os.environ).log)
    words = "no" if found is None else "yes" if found == wanted else "yes, but not as this version would"
    say(f"Installed  {words}")
    outcome = ask("launchctl", "print", _job())
    say(f"Loaded     {'no' if outcome.code else 'yes'}")
    pids = [line.partition("=")[2].strip() for line in outcome.out.splitlines() if line.strip().startswith("pid =")]
    say(f"Daemon     {f'running, pid {one_line(pids[0])}' if pids else 'not running'}")


def _path() -> str:
    return os.path.join(paths.launch_agents_folder(), paths.LAUNCH_AGENT)


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _job() -> str:
    return f"{_domain()}/{LAUNCHD_LABEL}"


def _is_loaded() -> bool:
    return ask("launchctl", "print", _job()).code == 0
