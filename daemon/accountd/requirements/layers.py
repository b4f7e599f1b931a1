"""Managed requirements: the layers of TOML that an organisation hands out, merged, and as clients are told them.

A layer comes from the backend's bundle or from the machine's own file. What it says of logins counts only in
the latter, as with Codex: a bundle comes after a login, and cannot say which login may be made. All else is for
agents: it is checked, so that nobody is told half a policy, and passed on.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import msgspec

from accountd.config.toml import MalformedToml, parse_toml
from accountd.errors import RequirementsUnavailable
from accountd.foreign_json import UNDECODABLE
from accountd.protocol.explain import explain_decode_error, explain_misfit
from accountd.requirements.host_patterns import matches_host
from accountd.requirements.rendering import render_response
from accountd.requirements.toml import RequirementsToml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_OF_LOGINS: Final = (
    "allowed_login_methods",
    "allowed_chatgpt_workspaces",
    "chatgpt_base_url",
    "cli_auth_credentials_store",
)
MAX_BUNDLE: Final = 512 << 10
"""Bytes of a bundle, which has some fragments of a few kilobytes each."""

MAX_FRAGMENTS: Final = 64
"""Fragments of a bundle. An organisation has one for each group that a person is in."""

_PATHS: Final = ("sqlite_home", "log_dir", "model_catalog_json")
_KEYS: Final = frozenset(RequirementsToml.__struct_encode_fields__)


def refused_with(status: int | None) -> RequirementsUnavailable:
    """Make the failure for a backend that answered with this status; None is no answer that can be read."""
    if status is None:
        return RequirementsUnavailable("cloud config: request failed")
    if status == 401:
        text = "Your authentication session could not be refreshed automatically. Please log out and sign in again."
        what = "cloud config: authentication failed (HTTP 401)"
        return RequirementsUnavailable(what, text, passing=False, unauthorized=True)
    return RequirementsUnavailable(f"cloud config: request failed (HTTP {status})")


def timed_out_after(seconds: float) -> RequirementsUnavailable:
    """Make the failure for a backend that did not answer in time."""
    return RequirementsUnavailable(
        "cloud config: request timed out", f"timed out waiting for cloud config bundle after {seconds:.0f}s"
    )


class MalformedLayer(ValueError):
    """A layer that is not TOML, or in which a known key has a value that cannot be: `key`, where it is known."""

    def __init__(self, complaint: str, key: tuple[str, ...] = ()) -> None:
        super().__init__(f"`{'.'.join(key)}` {complaint}" if key else complaint)
        self.complaint = complaint
        self.key = key


class Machine(msgspec.Struct, frozen=True):
    """Where a layer applies: relative paths in it start at `folder`, and some keys are for some hosts alone.

    A person without a home has no paths that start with `~/`.
    """

    folder: Path
    user_home: Path | None
    hostname: str


class Layer(msgspec.Struct, frozen=True):
    """Requirements of one or more sources: the known keys that are set, and the same as values.

    `warnings` are of what is in the machine's own file and means nothing.
    """

    keys: Mapping[str, Any]
    values: RequirementsToml
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Layer({', '.join(self.keys)})"  # a model provider may have a key in it


NO_REQUIREMENTS: Final = Layer({}, RequirementsToml())


class _Fragment(msgspec.Struct):
    id: str
    name: str
    contents: str


class _Fragments(msgspec.Struct):
    enterprise_managed: list[_Fragment] | None = None


class _Bundle(msgspec.Struct):
    config_toml: _Fragments | None = None
    requirements_toml: _Fragments | None = None


def parse_bundle(body: bytes, machine: Machine, system: Layer) -> Layer:
    """Read the backend's answer. Raises RequirementsUnavailable, for all that is not wholly usable.

    Of two fragments the earlier one wins, key by key, and all of them win over `system`. It may take a third of a
    second, if all is as large as it may be.
    """
    if len(body) > MAX_BUNDLE:
        raise _invalid(f"larger than {MAX_BUNDLE} bytes")
    try:
        bundle = msgspec.json.decode(body, type=_Bundle)
    except UNDECODABLE:
        raise refused_with(None) from None
    configs, requirements = _fragments(bundle.config_toml), _fragments(bundle.requirements_toml)
    if len(configs) + len(requirements) > MAX_FRAGMENTS:
        raise _invalid(f"more than {MAX_FRAGMENTS} fragments")
    for fragment in configs:
        try:
            _parse_toml(fragment.contents)
        except MalformedLayer as error:
            raise _invalid("invalid TOML") from error
    try:
        layers = [parse_layer(fragment.contents, machine, of_logins=False) for fragment in requirements]
        merged = merge_layers(*layers, system)
    except MalformedLayer as error:
        raise _invalid("invalid requirements") from error
    _check_usable(merged.values)
    return merged


def _fragments(of: _Fragments | None) -> list[_Fragment]:
    return (of.enterprise_managed or []) if of is not None else []


def _invalid(reason: str) -> RequirementsUnavailable:
    return RequirementsUnavailable(
        "cloud config: invalid bundle", f"invalid cloud config bundle: {reason}", passing=False
    )


def _check_usable(values: RequirementsToml) -> None:
    """Refuse what would leave an agent without any setting. Raises RequirementsUnavailable."""
    text = None
    if values.allowed_approval_policies == []:
        text = "field `allowed_approval_policies` cannot be empty"
    elif values.allowed_sandbox_modes is not None and "read-only" not in values.allowed_sandbox_modes:
        text = "invalid value for `allowed_sandbox_modes`: must include 'read-only' to allow any PermissionProfile"
    if text is not None:
        raise RequirementsUnavailable("invalid input parameter", text, passing=False)


def find_unknown(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give each key of the top level that is not known, with what is to be said of it."""
    for key in found.keys() - _KEYS:
        meant = get_close_matches(key, _KEYS, n=1)
        yield key, f"is not known, and ignored{f'; did you mean {meant[0]}?' if meant else ''}"


def parse_layer(text: str, machine: Machine, *, of_logins: bool) -> Layer:
    """Read one fragment. Raises MalformedLayer."""
    return make_layer(_parse_toml(text), machine, of_logins=of_logins)


def make_layer(found: Mapping[str, Any], machine: Machine, *, of_logins: bool) -> Layer:
    """Make a layer of the top level of a file or fragment. Raises MalformedLayer.

    Keys that are not known are ignored, for newer ones come. `of_logins`: it is the machine's own, in which what is
    said of logins counts, and which may name a program to run.
    """
    keys = {key: value for key, value in found.items() if key in _KEYS and (of_logins or key not in _OF_LOGINS)}
    for key in _PATHS:
        if isinstance(path := keys.get(key), str):
            base = machine.user_home if path.startswith("~/") else machine.folder
            if base is None:
                raise MalformedLayer("starts with ~/, and this user has no home folder; set HOME", (key,))
            keys[key] = (base / path.removeprefix("~/")).as_uri()
    values = _convert(keys)
    otel = values.otel
    if not of_logins and otel and (otel.headers_helper, otel.headers_helper_refresh_interval_ms) != (None, None):
        raise MalformedLayer("the machine alone may set `otel.headers_helper`")
    for remote in values.remote_sandbox_config or ():
        if any(matches_host(machine.hostname, pattern) for pattern in remote.hostname_patterns):
            keys["allowed_sandbox_modes"] = list(remote.allowed_sandbox_modes)
            return Layer(keys, _convert(keys))
    return Layer(keys, values)


def _parse_toml(text: str) -> dict[str, Any]:
    try:
        return parse_toml(text.removeprefix("\ufeff"))
    except MalformedToml as error:
        raise MalformedLayer(str(error)) from error


def _convert(keys: Mapping[str, Any]) -> RequirementsToml:
    try:
        values = msgspec.convert(keys, RequirementsToml)
        msgspec.json.encode(render_response(values, ()))  # what is passed on as it is may hold what JSON cannot
    except msgspec.ValidationError as error:
        raise MalformedLayer(*explain_misfit(error, RequirementsToml)) from error
    except OverflowError as error:
        raise MalformedLayer(explain_decode_error(error)) from error
    return values


def merge_layers(*layers: Layer) -> Layer:
    """Put layers together. The earlier one wins, key by key and table by table; hooks of all of them count.

    Raises MalformedLayer for layers that are good alone and contradict each other.
    """
    keys: dict[str, Any] = {}
    for layer in layers:
        keys = _merge(keys, layer.keys)
    return Layer(keys, _convert(keys))


def _merge(first: Mapping[str, Any], second: Mapping[str, Any], *, hooks: bool = False) -> dict[str, Any]:
    merged = {**second, **first}
    for key in first.keys() & second.keys():
        match first[key], second[key]:
            case dict() as ours, dict() as theirs:
                merged[key] = _merge(ours, theirs, hooks=key == "hooks")
            case list() as ours, list() as theirs if hooks:
                merged[key] = ours + theirs
    return merged
