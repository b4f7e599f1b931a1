"""Takes the control socket away while the front is stopped, as by a debugger, or a Ctrl-Z at its terminal.

The kernel goes on taking connections for a process that is stopped: plain `codex` would wait for an answer for
twenty seconds, and fail, where one that finds no socket starts a server of its own at once. A process that is
stopped can do nothing about it, and nobody but its parent is told. So the front is a child of one that does nothing
but wait for that. When it goes on it finds its socket gone, and listens anew. Under a service manager that has a
watchdog there is none of this: the manager wants to hear from the process that it has started.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from accountd.client.unix_socket import find_listener
from accountd.front.process import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PASSED_ON: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def run_guarded(work: Callable[[], int], place: Path) -> int:
    """Run in a child process what listens at a place, and give its exit code; in the child, what `work` gives."""
    pid = os.fork()
    if not pid:
        end_with_parent()
        return work()

    def take_away() -> None:
        if find_listener(place) == pid:
            with suppress(OSError):
                place.unlink()

    def pass_on(number: int, _frame: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def stop_too(_number: int, _frame: object) -> None:
        """Have a shell go on, which waits for this process: the terminal has told both of them to stop."""
        take_away()
        os.kill(os.getpid(), signal.SIGSTOP)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    signal.signal(signal.SIGTSTP, stop_too)
    while os.WIFSTOPPED(status := os.waitpid(pid, os.WUNTRACED)[1]):
        take_away()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
