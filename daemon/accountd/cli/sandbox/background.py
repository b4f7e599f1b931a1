"""A sandbox that goes on when its verb has come back: for `eval "$(…)"` in bash, zsh and fish alike.

It is the same command, as a process that no Ctrl-C at the prompt of the shell reaches. It stays in the group of its
shell, and so ends with the terminal.
"""

from __future__ import annotations

import signal
import subprocess
import sys

from accountd.cli.terminal import say


def start_in_background() -> int:
    """Start this very command without `--background`; print what it says to a shell, and give 0, or its failure."""
    words = [word for word in sys.argv[1:] if word != "--background"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which is inherited, and kept by a sandbox that finds it so
    sandbox = subprocess.Popen(  # noqa: S603  # this very command
        [sys.executable, "-P", "-m", "accountd", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    if sandbox.stdout is None:
        raise AssertionError("Popen was asked for a pipe")
    with sandbox.stdout as stdout:
        said = stdout.read()  # it ends when all is ready, or when nothing will be
    if not said:
        return sandbox.wait()
    say(said.rstrip("\n"))
    sandbox.returncode = 0  # it is left running on purpose; Popen would warn of it
    return 0
