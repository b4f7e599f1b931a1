"""Targets: documents that a person, an organisation or another program wrote.

What cannot be used is refused, with a text that names the place and no secret; the rest is kept as it was.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import tomli

from accountd.config.limits import Limits, limit_range, read_limits
from accountd.config.own import OwnFiles
from accountd.config.settings import DEFAULT_BACKEND, Config, load
from accountd.config.toml import MalformedToml, find_line, parse_toml
from accountd.config.urls import is_loopback
from accountd.errors import ConfigError, MalformedRecord, RequirementsUnavailable
from accountd.requirements.host_patterns import matches_host
from accountd.requirements.layers import (
    NO_REQUIREMENTS,
    Machine,
    MalformedLayer,
    merge_layers,
    parse_bundle,
    parse_layer,
)
from accountd.requirements.rendering import render_response
from accountd.storage.base import AuthRecord
from accountd.storage.document import parse_record, render_record
from fuzz.pieces import UNKNOWN, choose, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_MACHINE: Final = Machine(Path("/etc/codex"), Path("/home/ada"), "build-7")
_METHODS: Final = ("chatgpt", "api")
_KNOWN: Final = frozenset(
    ("forced_login_method", "forced_chatgpt_workspace_id", "cli_auth_credentials_store", "chatgpt_base_url")
)


_MALFORMED: Final = re.compile(
    "the document is not a credential that Codex could have written"
    "|the (API key|access token|account id) in the document [a-z0-9 ]+(ASCII)?, so no request can carry it"
)

_OTHER: Final = parse_layer(
    'allow_login_shell = false\nallowed_sandbox_modes = ["read-only", "workspace-write"]\nfeatures.other = false',
    _MACHINE,
    of_logins=False,
)
"""A layer below or above the one that is tried."""


def fuzz_record(data: bytes) -> None:
    """Read a credential that anybody may have written; written again it is the same, with all that is foreign."""
    try:
        record = parse_record(data)
    except MalformedRecord as error:
        assert _MALFORMED.fullmatch(str(error))
        assert error.__suppress_context__
        return
    _check_hidden(record)
    for compact in (False, True):
        written = render_record(record, compact=compact)
        assert parse_record(written) == record
        if (value := read_json(data)) is not UNKNOWN:
            assert _without_nulls(json.loads(written)) == _without_nulls(value)


def _check_hidden(record: AuthRecord) -> None:
    """Look for the tokens in what is shown, but for the members that are shown as they are: one may be in them."""
    secrets, plain = [record.api_key], msgspec.structs.replace(record, last_refresh=None)
    if (login := record.chatgpt) is not None:
        secrets += [login.tokens.id_token, login.tokens.access_token, login.tokens.refresh_token]
        unnamed = msgspec.structs.replace(login, account_id=None, login_owner_id=None, provenance=None)
        plain = msgspec.structs.replace(plain, chatgpt=unnamed)
    shown = repr(plain)
    assert not any(secret and len(secret.reveal()) > 20 and secret.reveal() in shown for secret in secrets)


def _without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what may be said in two ways: null and absent are one, of members that are ours; so is the mode."""
    known = ("OPENAI_API_KEY", "tokens", "last_refresh", "account_id", "login_owner_id", "oauth_provenance")
    kept = {key: value for key, value in document.items() if value is not None or key not in known}
    kept.pop("auth_mode", None)
    if isinstance(kept.get("tokens"), dict):
        kept["tokens"] = _without_nulls(kept["tokens"])
    return kept


class _Home:
    """A folder for files that are read from the disk, made when it is needed."""

    path: Path | None = None

    def write(self, name: str, data: bytes) -> Path:
        """Put a file into it and no other."""
        if self.path is None:
            folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
            atexit.register(folder.cleanup)
            self.path = Path(folder.name)
        for other in self.path.iterdir():
            other.unlink()
        (self.path / name).write_bytes(data)
        return self.path


_home: Final = _Home()


def fuzz_toml(data: bytes) -> None:
    """Parse TOML as the standard library does, but for what is too much; and find the line of each key in it."""
    text = data.decode("utf-8", "replace")
    try:
        values = parse_toml(text)
    except MalformedToml as error:
        assert error.line is None or 1 <= error.line <= text.count("\n") + 1
        if not error.complaint.startswith(_TOO_MUCH):
            _check_malformed(text)
        return
    assert repr(values) == repr(tomli.loads(text))  # of which "nan" is the same as itself
    for key in values:
        line = find_line(text, key)
        assert line is None or set(text.split("\n")[line - 1]) & set("=[")
        assert line is not None or "\\" in text


_TOO_MUCH: Final = (
    "a key has more than",
    "is nested deeper than",
    "has more than",
    "is longer than",
    "a number or a key",
)


def _check_malformed(text: str) -> None:
    try:
        tomli.loads(text)
    except ValueError:
        return
    raise AssertionError("it is TOML")


def fuzz_host_pattern(data: bytes) -> None:
    """Match a host's name as `fnmatch` does, which is given no more stars than it can bear."""
    name, pattern = choose(data, ("build-7", "", "-", "a" * 20, "]", "ab[!-]c^\\", "\n", "\u0130i\u0307"))
    glob = pattern.decode("latin-1")
    matches = matches_host(name, glob)
    if len(glob) <= _FEW and not _MISTAKEN.search(glob):
        assert matches == fnmatchcase(name.lower(), glob.lower())
    assert matches_host(name, f"{glob}*") >= matches
    assert matches_host(name, "*" * 1000 + glob) >= matches


_FEW: Final = 30
_MISTAKEN: Final = re.compile("-.!", re.DOTALL)
"""What may be a `!` behind a range that is none, `[b-a!c]`, which `fnmatch` takes for a negation."""


def fuzz_config(data: bytes) -> None:
    """Read Codex's `config.toml`, of which only a few keys are ours, and hold it to the standard library's TOML."""
    home = _home.write("config.toml", data)
    values = _read_toml(data)
    try:
        config = load({"CODEX_HOME": str(home)}, home / "etc")
    except ConfigError as error:
        assert str(error).startswith(f"{home}/config.toml:")
        assert values is None or _KNOWN & values.keys()
        _check_quotes_nothing(error, values)
        return
    assert values is not None
    _check_config(config, values)


def _read_toml(data: bytes) -> dict[str, Any] | None:
    """Read a file's TOML; None for what is none, or too much of it, of which `fuzz_toml` is the judge."""
    try:
        return parse_toml(data.decode("utf-8-sig"))
    except ValueError:
        return None


def _check_config(config: Config, values: dict[str, Any]) -> None:
    assert config.forced_login_method == values.get("forced_login_method")
    assert config.credentials_store == values.get("cli_auth_credentials_store", "file")
    named = values.get("forced_chatgpt_workspace_id", [])
    names = [named] if isinstance(named, str) else named
    assert list(config.allowed_workspaces) == [name.strip() for name in names if name.strip()]
    if "chatgpt_base_url" in values:
        assert config.backend.startswith(values["chatgpt_base_url"].strip().rstrip("/"))
    else:
        assert config.backend == DEFAULT_BACKEND
    scheme, _, rest = config.backend.partition("://")
    host = rest.partition("/")[0]
    assert scheme.lower() == "https" or is_loopback(_host(host))
    assert "@" not in host


def _host(netloc: str) -> str:
    return netloc.partition("]")[0][1:] if netloc.startswith("[") else netloc.partition(":")[0].lower()


def _check_quotes_nothing(error: ConfigError, values: dict[str, Any] | None) -> None:
    url = (values or {}).get("chatgpt_base_url")
    password = (
        url.partition("://")[2].partition("@")[0].partition(":")[2] if isinstance(url, str) and "@" in url else ""
    )
    assert len(password) < 8 or password not in str(error)


def fuzz_limits(data: bytes) -> None:
    """Read our own file: each limit is within its bounds, or an error names the key and its line."""
    home = _home.write("accountd.toml", data)
    values = _read_toml(data)
    try:
        files = OwnFiles.read(home, home / "none")
        limits = read_limits(files)
    except ConfigError as error:
        assert str(error).startswith(f"{home}/accountd.toml:")
        assert values != {}
        return
    assert values is not None
    for name in Limits.__struct_fields__:
        least, most = limit_range(name)
        assert least <= getattr(limits, name) <= most
        assert values.get("limits", {}).get(name, getattr(limits, name)) == getattr(limits, name)


def fuzz_requirements(data: bytes) -> None:
    """Read a layer of requirements: merged with itself it is itself, and it can be told; or it is refused."""
    of_logins, text = choose(data, (False, True))
    try:
        layer = parse_layer(text.decode("utf-8", "replace"), _MACHINE, of_logins=of_logins)
    except MalformedLayer:
        return
    assert merge_layers(layer, NO_REQUIREMENTS).values == layer.values
    assert merge_layers(NO_REQUIREMENTS, layer).values == layer.values
    if not layer.values.hooks:  # of which all count, each time
        assert merge_layers(layer, layer).values == layer.values
    over, under = merge_layers(layer, _OTHER).keys, merge_layers(_OTHER, layer).keys
    assert {**over, **layer.keys, **_only_tables(over)} == over
    assert {**under, **_OTHER.keys, **_only_tables(under)} == under
    answer = json.loads(msgspec.json.encode(render_response(layer.values, _METHODS)))
    assert answer["supportsIndependentSpeedModes"] is True
    if not of_logins:
        assert not layer.keys.keys() & {"allowed_login_methods", "allowed_chatgpt_workspaces", "chatgpt_base_url"}


def _only_tables(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Leave those that are merged inside."""
    return {key: value for key, value in keys.items() if isinstance(value, dict)}


def fuzz_bundle(data: bytes) -> None:
    """Read the backend's bundle of layers: all of it can be used, or none of it is."""
    try:
        layer = parse_bundle(data, _MACHINE, NO_REQUIREMENTS)
    except RequirementsUnavailable as error:
        assert str(error).startswith("failed to load workspace requirements: ")
        assert error.reading.startswith("failed to read configuration layers: ")
        return
    assert layer.values.allowed_approval_policies != []
    assert json.loads(msgspec.json.encode(render_response(layer.values, _METHODS)))
    assert os.linesep not in repr(layer)
