"""A daemon as a process of its own, for those that start one: `python -m fakes.daemon_process PATH [PAUSE]`.

Like the real one it refuses to start on a socket that somebody listens on. `test/facts` tells what it was born
with, `test/exit` ends it; it ends by itself after half a minute, should its test have died.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from fakes.app_server import AppServer, Message

over = threading.Event()


def facts() -> Message:
    """Say what this process got from the one that started it."""
    return {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "cwd": str(Path.cwd()),
        "stdin": str(Path("/proc/self/fd/0").readlink()) if sys.platform == "linux" else "/dev/null",
        "stdout": os.fstat(1).st_ino,
        "stderr": os.fstat(2).st_ino,
        "descriptors": _descriptors_from_before,
        "environ": dict(os.environ),
        "arguments": sys.argv[1:],
    }


def leave(_: Message) -> Message:
    """End soon, after this has been answered."""
    over.set()
    return {}


def _open_descriptors() -> list[int]:
    found = []
    for descriptor in range(3, 256):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        found.append(descriptor)
    return found


_descriptors_from_before = _open_descriptors()


if __name__ == "__main__":
    path = Path(sys.argv[1])
    time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
    try:
        server = AppServer(
            path,
            {
                "test/facts": lambda _: facts(),
                "test/exit": leave,
                "account/read": {"account": None},
                "getAuthStatus": {"authMethod": None},
            },
        )
        with server:
            over.wait(30)
    except OSError:
        sys.exit(f"accountd: the socket is already in use by a running server: {path}")
