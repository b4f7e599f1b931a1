"""Codex's configuration in its layers: of two files that say something of one key, the upper one counts.

From the top: what the machine requires (`requirements.toml`, of which `REQUIRED` are settings), what its
administrator imposes (`managed_config.toml`), what the person wrote (`config.toml` in CODEX_HOME), and the defaults
of the machine (`config.toml` beside the first two). Tables are put together key by key; anything else, a list too,
counts whole. Only what counts in the end is judged: a value that an upper layer replaces may be anything.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accountd import paths
from accountd.config.toml_file import TomlFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from accountd.errors import ConfigError

MACHINE_FOLDER: Final = Path(paths.MACHINE_FOLDER)
"""Where whoever runs the machine has Codex's files; Codex reads them there, too."""

MACHINE_FILES: Final = (paths.MACHINE_REQUIREMENTS, paths.MANAGED_CONFIG, paths.CONFIG)
"""The names of those files, from the top down; the person's is above the last."""

REQUIRED: Final = ("chatgpt_base_url", "cli_auth_credentials_store", "model_provider", "model_providers")
"""Settings that `requirements.toml` may have, whose other keys say what is permitted."""


_NEARLY: Final = 0.85
_SIMILAR: Final = ("mcp_oauth_credentials_store",)
"""Keys of Codex's that are nearly as those that are read here."""


class Layers:
    """The files put together; `values` is the top level of what counts."""

    def __init__(self, *layers: tuple[TomlFile, Mapping[str, Any]]) -> None:
        self._layers = layers
        self.values: dict[str, Any] = {}
        for _, values in layers:
            self.values = _put_over(self.values, values)

    @classmethod
    def read(cls, home: Path, machine: Path) -> Self:
        """Read them all, none of which need be there. Raises ConfigError: one cannot be read, or is no TOML."""
        required, managed, defaults = (TomlFile.read(machine / name, must_lead=True) for name in MACHINE_FILES)
        person = TomlFile.read(home / paths.CONFIG)
        settings = {key: value for key, value in required.values.items() if key in REQUIRED}
        return cls((required, settings), *((file, file.values) for file in (managed, person, defaults)))

    def find_misspelt(self, keys: Sequence[str]) -> Iterator[str]:
        """Say of each key of the top level that is nearly one of these, and none of Codex's, where it stands."""
        for file, values in self._layers:
            for key in values:
                if key in keys or key in REQUIRED or key in _SIMILAR:
                    continue
                if meant := get_close_matches(key, keys, 1, _NEARLY):
                    yield file.describe(key, complaint=f"is not known; did you mean {meant[0]}?")

    def error(self, *key: str, complaint: str) -> ConfigError:
        """Return an error that names the file whose word counts for a key, the line and the key."""
        file, _ = max(self._layers, key=lambda layer: sum(1 for _ in _follow(layer[1], key)))
        return file.error(*key, complaint=complaint)


def _put_over(upper: Mapping[str, Any], lower: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**lower, **upper}
    for key in upper.keys() & lower.keys():
        match upper[key], lower[key]:
            case dict() as ours, dict() as theirs:
                merged[key] = _put_over(ours, theirs)
    return merged


def _follow(values: Any, key: tuple[str, ...]) -> Iterator[str]:
    """Yield the parts of a key that there are."""
    for part in key:
        if not isinstance(values, dict) or part not in values:
            return
        values = values[part]
        yield part
