"""The real app-server, fetched once into the virtual environment: what it says of its protocol is the measure here.

It is some 400 MB, of which nothing is part of accountd. Without npm, or without a registry that can be reached, its
tests are skipped and say so; whatever else is wrong with it fails them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accountd import CODEX_VERSION
from fakes.turns import turn

FOLDER = Path(sys.prefix) / "peer"
CODEX = FOLDER / "node_modules" / ".bin" / "codex"
PACKAGE = f"@openai/codex@{CODEX_VERSION}"
UNREACHABLE = re.compile(r"npm error code (ENOTFOUND|EAI_AGAIN|ECONN\w+|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)")
PATIENCE = 540
"""Seconds, for a slow line; it takes 14 on a good one."""


class Peer:
    """The app-server's own account of its protocol: its schemas, and its list of methods."""

    def __init__(self, folder: Path) -> None:
        home = folder / "home"
        home.mkdir()
        environ = {**os.environ, "CODEX_HOME": str(home)}
        self._schemas = folder / "schemas"
        command = [str(CODEX), "app-server", "generate-json-schema", "--out", str(self._schemas), "--experimental"]
        subprocess.run(command, env=environ, capture_output=True, timeout=50, check=True)
        # Its schema leaves some methods out that it answers. It names all to whoever asks for one that is not.
        with subprocess.Popen(
            [str(CODEX), "app-server", "--listen", "stdio://"],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(b'{"id": 0, "method": "?"}\n')
            server.stdin.flush()
            refusal = json.loads(server.stdout.readline())["error"]["message"]
            server.stdin.close()
        self.methods = re.findall(r"`([\w/]+)`", refusal)

    def files(self) -> set[str]:
        """Name the files that it writes."""
        return {path.relative_to(self._schemas).as_posix() for path in self._schemas.rglob("*.json")}

    def schema(self, path: str) -> dict[str, Any]:
        """Read one of them."""
        schema: dict[str, Any] = json.loads((self._schemas / path).read_text())
        return schema

    def envelope(self, name: str) -> dict[str, dict[str, Any]]:
        """Read a union of messages: each by its method."""
        return {each["properties"]["method"]["enum"][0]: each for each in self.schema(f"{name}.json")["oneOf"]}


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """Give the app-server that this package speaks like."""
    with turn("peer"):
        if not _is_here():
            _fetch()
    return Peer(tmp_path_factory.mktemp("peer"))


def _is_here() -> bool:
    if not CODEX.exists():
        return False
    done = subprocess.run([CODEX, "--version"], capture_output=True, text=True, check=False, timeout=50)
    return done.stdout.split()[-1:] == [CODEX_VERSION]


def _fetch() -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm to fetch the real app-server with")
    FOLDER.mkdir(exist_ok=True)
    quick = [
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=5000",
    ]
    command = [npm, "install", "--prefix", str(FOLDER), *quick, PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if found := UNREACHABLE.search(done.stderr):
        pytest.skip(f"npm cannot reach its registry ({found[1]}) to fetch the real app-server")
    if done.returncode != 0 or not _is_here():
        pytest.fail(f"npm install {PACKAGE} failed:\n{done.stderr}")
