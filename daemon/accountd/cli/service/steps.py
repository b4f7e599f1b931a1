"""What `accountd service` does to the system: files written and removed, commands run; each said, or only said."""

from __future__ import annotations

import os
import subprocess
from shlex import join
from typing import NamedTuple

from accountd.cli.exits import Failure
from accountd.cli.terminal import one_line, say
from accountd.errors import describe_os_error
from accountd.files.read import read_file
from accountd.files.replace import replace_file

_KEPT = (
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
)
"""What a manager's tool needs of the environment; keys and proxies' passwords are not for it."""
_PATIENCE = 90.0
"""Seconds for a manager to start or stop a daemon, which may take the time that its unit gives it."""


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def ask(*command: str) -> Outcome:
    """Run a command that changes nothing, and say nothing. A program that is not there ends with 127."""
    environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603  # the words of this package
            command, env=environ, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except FileNotFoundError:
        return Outcome(127, "", f"{command[0]} is not installed")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Outcome(126, "", f"{command[0]} did not do it: {type(error).__name__}")
    return Outcome(done.returncode, done.stdout.strip(), done.stderr.strip())


class Steps:
    """Changes to the system, each with a line that says it. With `dry_run` nothing is changed."""

    def __init__(self, *, dry_run: bool) -> None:
        self._would = "would " if dry_run else ""
        self._dry_run = dry_run

    def run(self, *command: str) -> None:
        """Run a command. Raises Failure with what it complained of."""
        outcome = self.attempt(*command)
        if outcome.code:
            last = outcome.err.splitlines()[-1:] or [f"exit code {outcome.code}"]
            raise Failure(f"`{join(command)}` failed: {one_line(last[0])}")

    def attempt(self, *command: str) -> Outcome:
        """Run a command that may fail."""
        say(f"{self._would}run {one_line(join(command))}")
        return Outcome(0, "", "") if self._dry_run else ask(*command)

    def write(self, path: str, content: bytes) -> bool:
        """Have a file with this content; say whether that is a change. Raises Failure."""
        if read(path) == content:
            say(f"{one_line(path)} is as it should be")
            return False
        say(f"{self._would}write {one_line(path)}")
        if not self._dry_run:
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                replace_file(path, content, 0o644)
            except OSError as error:
                raise Failure(f"cannot write {path}: {describe_os_error(error)}") from error
        return True

    def remove(self, path: str) -> None:
        """Have no such file. Raises Failure."""
        if read(path) is None:
            return
        say(f"{self._would}remove {one_line(path)}")
        if not self._dry_run:
            try:
                os.unlink(path)
            except OSError as error:
                raise Failure(f"cannot remove {path}: {describe_os_error(error)}") from error


def read(path: str) -> bytes | None:
    """Return what a file has in it; None if it is not there, or not to be read."""
    try:
        return read_file(path)
    except OSError:
        return None
