"""Where each switcher keeps its logins, and how: one reader each, and the rules for what is read at all.

Somebody names a path, and it may be anything. So: nothing larger than a credential can be, no links, and only files
of this user. What is no credential as Codex writes it is told as that, and never repaired.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from accountd import paths
from accountd.errors import MalformedRecord, describe_os_error
from accountd.files.read import read_unlinked_file
from accountd.foreign_json import UNDECODABLE
from accountd.storage.document import parse_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accountd.storage.base import AuthRecord

_MOST: Final = 200
"""Entries of a folder that are looked at; nobody has so many accounts."""

_EPOCH: Final = "1970-01-01T00:00:00Z"
"""When tokens were refreshed of which that is not known: before any others, and Codex wants a time."""

_SQLITE: Final = b"SQLite format 3\0"

_CC_SWITCH: Final = "cc-switch keeps its logins in a database, which is not read here; log in again instead"
_COCKPIT: Final = "cockpit-tools encrypts its logins, which are not read here; log in again instead"

WELL_KNOWN: Final = (
    ".codex/accounts",
    ".codex-switcher",
    ".local/share/caam/vault/codex",
    ".codex-switch",
    ".codex-accounts",
)
"""Where the switchers keep their logins, in the person's home folder."""


class Source(msgspec.Struct, frozen=True):
    """A login that was found in a file, by the name of the tool that has put it there; or why there is none."""

    path: Path
    tool: str
    record: AuthRecord | None = None
    problem: str | None = None


def find_sources(path: Path) -> list[Source]:
    """Read what a person has named: a file, or a folder of a tool. Never raises; what cannot be read is told."""
    if (declined := _decline(path)) is not None:
        return [declined]
    if not path.is_dir() or path.is_symlink():
        return _read_file(path)
    for read in (_read_codex_auth, _read_codex_switcher, _read_sessions, _read_home, _read_folders, _read_flat):
        if found := read(path):
            return found
    return [Source(path, "unknown", problem="there is no login in it that accountd knows how to read")]


def _decline(path: Path) -> Source | None:
    parts = {part.lower().lstrip(".") for part in path.parts}
    if "cc-switch" in parts or path.name == "cc-switch.db":
        return Source(path, "cc-switch", problem=_CC_SWITCH)
    if any("cockpit" in part for part in parts):
        return Source(path, "cockpit-tools", problem=_COCKPIT)
    return None


def _read_file(path: Path) -> list[Source]:
    if path.name == paths.SWITCHER_REGISTRY:
        return _read_codex_auth(path.parent)
    if path.name == paths.SWITCHER_SESSIONS:
        return _read_sessions(path.parent)
    if path.name == paths.SWITCHER_ACCOUNTS and (found := _read_codex_switcher(path.parent)):
        return found
    return [_read_record(path, "codex-auth" if path.name.endswith(".auth.json") else "Codex")]


def _read_record(path: Path, tool: str) -> Source:
    try:
        document = read_unlinked_file(path)
        if document.startswith(_SQLITE):
            return Source(path, "cc-switch", problem=_CC_SWITCH)
        return Source(path, tool, parse_record(document))
    except OSError as error:
        return Source(path, tool, problem=f"it cannot be read: {describe_os_error(error)}")
    except MalformedRecord:
        return Source(path, tool, problem="it is no credential as Codex writes it")


def _list(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(islice(folder.iterdir(), _MOST))


def _read_codex_auth(folder: Path) -> list[Source]:
    """Read `~/.codex/accounts`: a registry, and a document of Codex for each account."""
    if not (folder / paths.SWITCHER_REGISTRY).is_file():
        return []
    return [_read_record(each, "codex-auth") for each in _list(folder) if each.name.endswith(".auth.json")]


class _SwitcherAccount(msgspec.Struct):
    auth_data: dict[str, str | None]


class _SwitcherFile(msgspec.Struct):
    accounts: list[_SwitcherAccount]


def _read_codex_switcher(folder: Path) -> list[Source]:
    """Read `~/.codex-switcher`: all accounts in one file, each with its tokens, and without their time."""
    path = folder / paths.SWITCHER_ACCOUNTS
    try:
        found = msgspec.json.decode(read_unlinked_file(path), type=_SwitcherFile)
    except (OSError, *UNDECODABLE):
        return []
    return [_make_record(path, each.auth_data) for each in found.accounts[:_MOST]]


def _make_record(path: Path, data: dict[str, str | None]) -> Source:
    names = ("id_token", "access_token", "refresh_token", "account_id")
    document: dict[str, object] = {"auth_mode": "apikey", "OPENAI_API_KEY": data.get("key") or 0}
    if data.get("refresh_token"):
        document = {"auth_mode": "chatgpt", "tokens": {name: data.get(name) for name in names}}
        document["last_refresh"] = _EPOCH
    try:
        return Source(path, "codex-switcher", parse_record(msgspec.json.encode(document)))
    except MalformedRecord:
        return Source(path, "codex-switcher", problem="one of its accounts has no tokens as Codex has them")


def _read_sessions(folder: Path) -> list[Source]:
    """Read a list of sessions, and beside it a folder with a document of Codex for each."""
    if not (folder / paths.SWITCHER_SESSIONS).is_file():
        return []
    return [
        _read_record(each, "Codex")
        for each in _list(folder / "account-sessions")
        if each.suffix == ".json" and each.is_file()
    ]


def _read_home(folder: Path) -> list[Source]:
    """Read another CODEX_HOME, with what codex-auth keeps in it."""
    if not (folder / paths.CREDENTIAL).exists():
        return []
    return [_read_record(folder / paths.CREDENTIAL, "Codex"), *_read_codex_auth(folder / "accounts")]


def _read_folders(folder: Path) -> list[Source]:
    """Read a folder for each account, with an auth.json: caam, codex-accounts, homes beside each other."""
    for inner in ("vault", "codex"):  # of caam, named by its own folder
        folder = folder / inner if (folder / inner).is_dir() else folder
    tools = {"codex": "caam", ".codex-accounts": "codex-accounts"}
    tool = tools.get(folder.name, "multi-codex")
    documents = (each / paths.CREDENTIAL for each in _list(folder) if each.is_dir() and not each.is_symlink())
    return [_read_record(each, tool) for each in documents if each.exists()]


def _read_flat(folder: Path) -> list[Source]:
    """Read `~/.codex-switch`: a document of Codex for each account, by its name."""
    found = [_read_record(each, "codex-switch") for each in _list(folder) if each.suffix == ".json"]
    return found if any(each.record is not None for each in found) else []
