"""A sandbox that goes on when its verb has come back: for `eval "$(…)"` in bash, zsh and fish alike.

It is a child that no Ctrl-C at the prompt of the shell reaches. It stays in the group of its shell, and so ends
with the terminal.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from accountd.cli.exits import OK, SIGNALLED
from accountd.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable


def run_in_background(serve: Callable[[], int]) -> int:
    """Have a child serve; print what it says to a shell, and give OK, or the exit code of its failure.

    In the child, this returns what `serve` does.
    """
    reading, writing = os.pipe()
    child = os.fork()  # before any thread
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for stream, target in ((os.open(os.devnull, os.O_RDONLY), 0), (writing, 1)):
            os.dup2(stream, target)
            os.close(stream)
        os.close(reading)
        return serve()
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        text = said.read()  # it ends when all is ready, or when nothing will be
    if text:
        say(text.rstrip("\n"))
        return OK
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else SIGNALLED - code
