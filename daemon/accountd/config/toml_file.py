"""A TOML file of the person's or the administrator's, whose errors say on which line a key stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accountd.config.toml import MalformedToml, find_line, parse_toml
from accountd.errors import ConfigError
from accountd.files.read import read_own_file
from accountd.files.remedy import find_reason, find_remedy

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


class TomlFile:
    """A parsed file; `values` is its top level."""

    def __init__(self, path: Path, text: str, values: dict[str, Any]) -> None:
        self.values = values
        self._path, self._text = path, text

    @classmethod
    def read(cls, path: Path, *, must_lead: bool = False) -> Self:
        """Read a file, which need not be there. Raises ConfigError: it cannot be read, or is no TOML.

        With `must_lead`, also for a link that leads nowhere: whoever put it there meant something to be read.
        """
        try:
            text = read_own_file(path).decode("utf-8-sig")  # as Codex: a byte order mark is no fault
        except FileNotFoundError as error:
            if must_lead and path.is_symlink():
                raise ConfigError(f"{path}: is a link that leads nowhere") from error
            return cls(path, "", {})
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {find_reason(error)}", find_remedy(path, error)) from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: is not UTF-8 text") from error
        try:
            return cls(path, text, parse_toml(text))
        except MalformedToml as error:
            raise ConfigError(f"{path}:{f'{error.line}:' if error.line else ''} {error.complaint}") from error

    def describe(self, *key: str, complaint: str) -> str:
        """Return what is wrong where: the file, the line and the key, whose tables come before it."""
        line = find_line(self._text, *key)
        return f"{self._path}:{f'{line}:' if line else ''} {'.'.join(key)} {complaint}"

    def error(self, *key: str, complaint: str) -> ConfigError:
        """Return an error that says so."""
        return ConfigError(self.describe(*key, complaint=complaint))
