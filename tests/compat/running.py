"""Runs a scenario against a server: ours, or the stock app-server, each on a home of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compat.world import World
from fakes.turns import turn

if TYPE_CHECKING:
    from compat.clients import Framing
    from compat.issuer import Served
    from compat.scenarios import Scenario
    from compat.world import Seen

OURS = (sys.executable, "-m", "accountd", "serve", "--listen", "unix://{socket}")
"""The command of our server; `{socket}` stands for the path."""

START_PATIENCE = 20.0
END_PATIENCE = 10.0

_KEPT = ("PATH", "HOME", "TMPDIR")


def stock(codex: Path) -> tuple[str, ...]:
    """Give the command of the stock app-server."""
    return (str(codex), "app-server", "--listen", "unix://{socket}")


def run_scenario(scenario: Scenario, command: tuple[str, ...], framing: Framing, served: Served) -> Seen:
    """Run it, and give what was seen. What it raises is part of that: a scenario ends where its server differs.

    Raises RuntimeError where the server does not come up.
    """
    home = Path(tempfile.mkdtemp(prefix="compat-"))
    try:
        with turn("ports") if scenario.listens else nullcontext():
            return _run(scenario, command, framing, served, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(scenario: Scenario, command: tuple[str, ...], framing: Framing, served: Served, home: Path) -> Seen:
    socket, log_file = home / "s", home / "server.log"
    served.issuer.reset()
    world = World(home, socket, framing, served.issuer)
    if scenario.config:
        world.write("config.toml", scenario.config)
    if (stored := scenario.stored(served.issuer)) is not None:
        world.write("auth.json", stored)
    with log_file.open("wb") as log:
        server = subprocess.Popen(
            [part.replace("{socket}", str(socket)) for part in command],
            env=_environment(home, served),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_it_listens(world, server, log_file)
        try:
            scenario.run(world)
        except Exception as error:  # noqa: BLE001 - whatever ends a scenario early is what was seen
            world.seen.append({"exception": f"{type(error).__name__}: {error}"})
    finally:
        world.close()
        _end(server)
    return world.seen


def _environment(home: Path, served: Served) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "CODEX_HOME": str(home),
        "HTTPS_PROXY": served.proxy,
        "https_proxy": served.proxy,
        "CODEX_CA_CERTIFICATE": str(served.ca_file),
        "SSL_CERT_FILE": str(served.ca_file),
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _wait_until_it_listens(world: World, server: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while True:
        try:
            world.client(initialize=False).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not come up: {log_file.read_text(errors='replace')}") from None
            time.sleep(0.02)
        else:
            return


def _end(server: subprocess.Popen[Any]) -> None:
    server.terminate()
    try:
        server.wait(END_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
