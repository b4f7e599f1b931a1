"""A TOML file of the person's, which can say on which line a key stands."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from accountd.errors import ConfigError, describe_os_error
from accountd.files.read import read_file

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
            text = read_file(path).decode("utf-8-sig")  # as Codex: a byte order mark is no fault
        except FileNotFoundError:
            return cls(path, "", {})
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {describe_os_error(error)}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: is not UTF-8 text") from error
        try:
            return cls(path, text, tomllib.loads(text))
        except (ValueError, RecursionError) as error:  # also for a number, or a nesting, beyond Python's limits
            raise ConfigError(_describe_toml_error(path, text, error)) from error

    def error(self, *key: str, complaint: str) -> ConfigError:
        """Give an error that names the file, the line and the key, whose tables come before it."""
        line = self._line(*key)
        return ConfigError(f"{self._path}:{f'{line}:' if line else ''} {'.'.join(key)} {complaint}")

    def _line(self, *key: str) -> int | None:
        """Find where a key stands, else the table that it is in; None if both are spelled oddly."""
        for depth in range(len(key)):
            # From the table that the first parts name, if any, the rest is written with dots.
            table, dotted = key[:depth], (rf"[\"']?{re.escape(part)}[\"']?" for part in key[depth:])
            name = r"[ \t]*\.[ \t]*".join(dotted)
            heading = rf"(?P<table>\[+)[ \t]*{name}[ \t]*[].]|" if not table else ""
            for match in re.finditer(rf"^[ \t]*(?:{heading}{name}[ \t]*[.=])", self._text, re.MULTILINE):
                try:
                    above: Any = tomllib.loads(self._text[: match.start()] + "accountd_probe = 0")
                except tomllib.TOMLDecodeError:
                    continue  # a line of a longer string or list
                for part in table:
                    above = above.get(part, {}) if isinstance(above, dict) else {}
                if match.groupdict().get("table") or "accountd_probe" in above:  # else it is a key of another table
                    return self._text.count("\n", 0, match.start()) + 1
        return self._line(*key[:-1]) if len(key) > 1 else None


def _describe_toml_error(path: Path, text: str, error: Exception) -> str:
    """Name file, line and, where the broken line has one, the key. tomllib tells the line in its text alone."""
    position = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    if position is None:
        return f"{path}: a number is too long, or the nesting too deep"
    lines = text.rstrip("\n").split("\n")
    line = int(position[1] or len(lines))
    key = re.match(r"\s*([\w.\"'-]+)\s*=", lines[min(line, len(lines)) - 1])
    return f"{path}:{line}: {key[1] + ': ' if key else ''}{str(error)[: position.start()]}"
