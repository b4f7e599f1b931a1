"""The three: a front, the Codex behind it, and another Codex; in one home, with one login, and one backend."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.issuer import issuing
from bench.process import Server, environment
from bench.verbs import ACCOUNTD
from bench.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.figures import Role

_PATIENCE: Final = 60.0  # seconds in which any of them has started
_GLANCE: Final = 0.05

_CONFIG: Final = """\
model_provider = "bench"
check_for_update_on_startup = false

[model_providers.bench]
name = "Bench"
base_url = "https://chatgpt.com/backend-api/codex"
requires_openai_auth = true
supports_websockets = false

[analytics]
enabled = false

[features]
apps = false
plugins = false
"""


@contextmanager
def running(codex: str) -> Iterator[Mapping[Role, Server]]:
    """Run them for the block: the front is `ours`, its Codex the `peer`, the other Codex the `floor`."""
    with ExitStack() as held:
        environ = held.enter_context(issuing())
        home = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        (home / "config.toml").write_text(_CONFIG)
        runtime = home / "run"
        runtime.mkdir(mode=0o700)
        environ = environment(home) | environ | {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)}
        environ |= {"ACCOUNTD_SOCKET": str(home / "d"), "ACCOUNTD_CODEX": codex}
        held.callback(subprocess.run, [ACCOUNTD, "stop"], env=environ, check=False, capture_output=True)
        subprocess.run([ACCOUNTD, "login"], env=environ, check=True, capture_output=True)
        front, alone = str(home / "f"), str(home / "c")
        held.enter_context(_process([ACCOUNTD, "app-server", "--listen", f"unix://{front}"], environ))
        held.enter_context(_process([codex, "app-server", "--listen", f"unix://{alone}"], environ))
        first = _wait_for(front)
        first.call(b'{"id":1,"method":"thread/list","params":{}}')  # for which the front starts its Codex
        first.close()
        [behind] = (str(place) for place in runtime.glob("accountd/agents-*/*/s"))
        servers: dict[Role, Server] = {
            "ours": _look_at(front, home), "peer": _look_at(behind, home), "floor": _look_at(alone, home)
        }  # fmt: skip
        held.callback(_end_session, servers["peer"].pid)
        yield servers


@contextmanager
def _process(command: list[str], environ: Mapping[str, str]) -> Iterator[None]:
    nothing = subprocess.DEVNULL
    with subprocess.Popen(command, env=environ, stdout=nothing, stderr=nothing, start_new_session=True) as process:
        try:
            yield
        finally:
            _end_session(process.pid)


def _end_session(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(os.getpgid(pid), signal.SIGKILL)


def _wait_for(path: str) -> Wire:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return Wire(path, "ws")
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise SystemExit(f"nobody listens at {path}") from None
            time.sleep(_GLANCE)


def _look_at(path: str, home: Path) -> Server:
    """Find the process that listens: what was started may be a script that has started it."""
    client = _wait_for(path)
    credentials = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    client.close()
    return Server(int.from_bytes(credentials[:4], "little"), path, "ws", home)
