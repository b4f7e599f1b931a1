"""Releases of the stock app-server, fetched by npm beside each other into the virtual environment.

One is some 400 MB, of which nothing is part of accountd.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakes.npm import QUIETLY, run_npm
from fakes.turns import turn

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(sys.prefix) / "peers"

_PACKAGE = "@openai/codex"
_WANTED = "the stock app-server"


def fetch(version: str) -> Path:
    """Give the program of a release, fetched if it is not here. Raises OutOfReach, RuntimeError for a failure."""
    codex = FOLDER / version / "node_modules" / ".bin" / "codex"
    with turn("peer"):
        if _version_of(codex) != version:
            (FOLDER / version).mkdir(parents=True, exist_ok=True)
            run_npm(_WANTED, "install", "--prefix", str(FOLDER / version), *QUIETLY, f"{_PACKAGE}@{version}")
            if _version_of(codex) != version:
                raise RuntimeError(f"npm has fetched something that is not codex {version}")
    return codex


def newest_version() -> str:
    """Ask npm for the newest release. Raises as `fetch` does."""
    return run_npm(_WANTED, "view", _PACKAGE, "version").strip()


def _version_of(codex: Path) -> str | None:
    if not codex.exists():
        return None
    done = subprocess.run([codex, "--version"], capture_output=True, text=True, check=False, timeout=50)
    return done.stdout.split()[-1] if done.stdout.split() else None


class Peer:
    """A release's own account of its protocol: its schemas, and its list of methods. `folder` is for its files."""

    def __init__(self, codex: Path, folder: Path) -> None:
        home = folder / "home"
        home.mkdir()
        environ = {**os.environ, "CODEX_HOME": str(home)}
        self._schemas = folder / "schemas"
        command = [str(codex), "app-server", "generate-json-schema", "--out", str(self._schemas), "--experimental"]
        subprocess.run(command, env=environ, capture_output=True, timeout=50, check=True)
        # Its schema leaves some methods out that it answers. It names all to whoever asks for one that is not.
        with subprocess.Popen(
            [str(codex), "app-server", "--listen", "stdio://"],
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

    def members(self, types: set[str]) -> dict[str, str]:
        """Give what each member may be, as `Type.member`, of some types and of all that those are made of."""
        members: dict[str, str] = {}
        for path in sorted(self.files()):
            name = path.rpartition("/")[2].removesuffix(".json")
            if name in types:
                schema = self.schema(path)
                for each, definition in {name: schema, **schema.get("definitions", {})}.items():
                    members |= dict(_members(each, definition))
        return members


def _members(name: str, definition: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """List the members of a type: those of each variant, where it has variants."""
    variants = [one for union in ("oneOf", "anyOf") for one in definition.get(union, [])]
    for variant in (definition, *variants):
        tag = variant.get("title", "") if variant is not definition else ""
        for member, schema in variant.get("properties", {}).items():
            needed = "required" if member in variant.get("required", []) else "optional"
            yield ".".join(filter(None, (name, tag, member))), f"{needed} {_plain(schema)}"
        if "enum" in variant:
            yield name, " | ".join(map(str, variant["enum"]))


def _plain(schema: Any) -> str:
    """Write a schema without its prose."""
    return json.dumps(_without_prose(schema), sort_keys=True)


def _without_prose(schema: Any) -> Any:
    match schema:
        case dict():
            return {
                key: _without_prose(value) for key, value in schema.items() if key not in ("description", "title")
            }
        case list():
            return [_without_prose(element) for element in schema]
    return schema
