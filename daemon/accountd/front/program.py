"""Which `codex` is run, and which release it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.errors import AgentUnavailable, describe_os_error

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST: Final = (0, 157)
"""The first release that changes the login of threads which are open. An older one goes on with the old token."""

_VERSION_TIMEOUT: Final = 30.0
"""Seconds for a program to say its version; the first start after an installation reads all of it from the disk."""

_VERSION: Final = re.compile(r"\b(\d+)\.(\d+)\.(\d+)\S*")

HOW_TO_INSTALL: Final = "install it with `npm install -g @openai/codex`, or name it with ACCOUNTD_CODEX"


class Program(msgspec.Struct, frozen=True):
    """A codex that can be run: its path, and its version as it writes it."""

    path: str
    version: str

    def __str__(self) -> str:
        return f"Codex {self.version} at {self.path}"


async def find_program(environ: Mapping[str, str], configured: str | None = None) -> Program:
    """Find the codex to run: `ACCOUNTD_CODEX`, else what is `configured`, else the first on PATH that is not ours.

    Runs it, to hear its version. Raises AgentUnavailable, saying how to get one.
    """
    path = _find_path(environ, configured)
    version = await _ask_version(path, environ)
    return Program(path, require_version(version, path))


def require_version(said: str, where: str) -> str:
    """Find the version in what a program or a server says of itself. Raises AgentUnavailable if it will not do."""
    found = _VERSION.search(said)
    if found is None:
        raise AgentUnavailable(f"{where} does not say which Codex it is; {HOW_TO_INSTALL}")
    if (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise AgentUnavailable(f"Codex {found[0]} at {where} is older than {oldest}; {HOW_TO_INSTALL}")
    return found[0]


def _find_path(environ: Mapping[str, str], configured: str | None) -> str:
    for where, named in (
        ("ACCOUNTD_CODEX", environ.get("ACCOUNTD_CODEX", "").strip()),
        ("[agent] codex", configured),
    ):
        if named:
            found = shutil.which(os.path.expanduser(named), path=environ.get("PATH"))
            if found is None:
                raise AgentUnavailable(f"{where} is {named}, which is no program that can be run")
            return found
    for found in list_programs(environ):
        return found
    raise AgentUnavailable(f"there is no `codex` on PATH, which threads and turns need; {HOW_TO_INSTALL}")


def list_programs(environ: Mapping[str, str]) -> list[str]:
    """List every `codex` on PATH that is not ours, each program once, in the order in which they count."""
    found: dict[str, str] = {}
    for folder in filter(os.path.isabs, environ.get("PATH", os.defpath).split(os.pathsep)):
        path = shutil.which("codex", path=folder)
        if path is not None and not _is_ours(path):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _is_ours(path: str) -> bool:
    """Return True for a `codex` that leads to accountd, which is given to clients that look for that name alone."""
    return os.path.basename(os.path.realpath(path)).startswith("accountd")


async def _ask_version(path: str, environ: Mapping[str, str]) -> str:
    ask = partial(
        subprocess.run,
        [path, "--version"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environ),
        timeout=_VERSION_TIMEOUT,
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    try:
        done = await trio.to_thread.run_sync(ask, abandon_on_cancel=True)
    except subprocess.TimeoutExpired:
        raise AgentUnavailable(f"{path} did not say its version within {_VERSION_TIMEOUT:.0f} seconds") from None
    except OSError as error:
        raise AgentUnavailable(f"{path} cannot be run: {describe_os_error(error)}") from error
    return done.stdout
