"""The command in a folder of somebody who means ill: daemon and verbs import nothing from there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from accountd.cli.service import find_command
from accountd.client.blocking import Client
from accountd.sandbox import Sandbox, Script
from fakes.processes import (
    PATIENCE,
    completion,
    environment,
    sandbox_on_loopback,
    stop_daemon,
    wait_until_it_listens,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BEFORE_US = "import runpy, sys; print(*sys.modules)"
FOREIGN = (
    "trio",
    "msgspec",
    "httpx",
    "httpcore",
    "h11",
    "anyio",
    "certifi",
    "idna",
    "wsproto",
    "platformdirs",
    "segno",
)
TRAP = "open(__file__.removesuffix('.py') + '.ran', 'w').close()\n"
"""What a hostile module does: it leaves a mark, and lets whoever imports it find nothing in it."""


class Way(NamedTuple):
    """A way to run the command; `whole` if not even Python itself looks into the working folder before we run."""

    command: list[str]
    variables: tuple[tuple[str, str], ...] = ()
    whole: bool = False


MODULE = [sys.executable, "-m", "accountd"]
WAYS = {
    "python -m": Way(MODULE),
    "an empty entry": Way([sys.executable, "-P", "-m", "accountd"], (("PYTHONPATH", ":/nowhere"),)),
    "python -P -m": Way([sys.executable, "-P", "-m", "accountd"], whole=True),
    "the unit's ExecStart": Way(find_command(), whole=True),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Give each way to run the command."""
    return WAYS[request.param]


@pytest.fixture
def folder(way: Way) -> Iterator[Path]:
    """Give a folder with a module of the name of each that could be imported, and a short path."""
    folder = Path(tempfile.mkdtemp(prefix="accountd-"))
    loaded = subprocess.run([sys.executable, "-P", "-c", BEFORE_US], capture_output=True, text=True, check=True)
    early = set(loaded.stdout.split())  # of these Python itself imports some before it comes to us
    for name in {*sys.stdlib_module_names, *FOREIGN} - (set() if way.whole else early):
        (folder / f"{name}.py").write_text(TRAP)
    if way.whole:
        (folder / "accountd").mkdir()
        (folder / "accountd" / "__init__.py").write_text(TRAP)
    (folder / "home").mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder)


def test_nothing_is_imported_from_the_working_folder(way: Way, folder: Path) -> None:
    """Neither by a daemon, not even by what it imports when somebody first logs in, nor by a verb."""
    home, path = folder / "home", folder / "home" / "run" / "s"
    with sandbox_on_loopback(Sandbox(Script(approve_after_polls=0, interval=0))) as url:
        (home / "config.toml").write_text(f'chatgpt_base_url = "{url}/backend-api"\n')
        environ = {**environment(home), "CODEX_APP_SERVER_LOGIN_ISSUER": url, **dict(way.variables)}
        serve = [*way.command, "serve", "--listen", f"unix://{path}"]
        with subprocess.Popen(serve, env=environ, stderr=subprocess.PIPE, text=True, cwd=folder) as daemon:
            wait_until_it_listens(path, daemon).close()
            with Client(path) as client:
                login = client.call("account/login/start", {"type": "chatgptDeviceCode"})["loginId"]
                assert completion(client, login)["success"]
            for verb in ("status", "usage", "token", "logout"):
                run = [*way.command, verb, "--no-start", "--socket", str(path)]
                done = subprocess.run(run, env=environ, capture_output=True, text=True, cwd=folder, check=False)
                assert done.returncode == 0, done.stderr
            daemon.terminate()
            daemon.communicate(timeout=PATIENCE)
    assert [path.name for path in folder.rglob("*.ran")] == []


def test_nor_by_a_daemon_that_a_verb_starts(way: Way, folder: Path) -> None:
    """It starts elsewhere, and has no less safe a path than the verb."""
    path = folder / "home" / "run" / "s"
    path.parent.mkdir(mode=0o700)
    environ = {**environment(folder / "home"), **dict(way.variables)}
    run = [*way.command, "status", "--socket", str(path)]
    done = subprocess.run(run, env=environ, capture_output=True, text=True, cwd=folder, check=False)
    stop_daemon(path)
    assert done.returncode == 3, done.stderr
    assert [path.name for path in folder.rglob("*.ran")] == []
