"""A TOML file of the person's or the administrator's, whose errors say on which line a key stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accountd.config.toml import MalformedToml, find_line, parse_toml
from accountd.errors import ConfigError, describe_os_error
from accountd.files.read import read_own_file

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


class TomlFile:
    """A parsed file; `values` is its top level."""

    def __init__(self, path: Path, text: str, values: dict[str, Any]) -> None:
        self.values = values
        self._path, self._text = path, text

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file, which need not be there. Raises ConfigError: it cannot be read, or is no TOML."""
        try:
            text = read_own_file(path).decode("utf-8-sig")  # as Codex: a byte order mark is no fault
        except FileNotFoundError:
            return cls(path, "", {})
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {describe_os_error(error)}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: is not UTF-8 text") from error
        try:
            return cls(path, text, parse_toml(text))
        except MalformedToml as error:
            raise ConfigError(f"{path}:{f'{error.line}:' if error.line else ''} {error.complaint}") from error

    def error(self, *key: str, complaint: str) -> ConfigError:
        """Give an error that names the file, the line and the key, whose tables come before it."""
        line = find_line(self._text, *key)
        return ConfigError(f"{self._path}:{f'{line}:' if line else ''} {'.'.join(key)} {complaint}")
