"""Our own settings: `accountd.toml` in CODEX_HOME, and below it that of the machine, in /etc/accountd.

Of two that say something of one key, the person's counts, as in `layers`. The tables are read where they are used:
`limits`, `agent`, `network`, `token_socket`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accountd import paths
from accountd.config.layers import Layers
from accountd.config.toml_file import TomlFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Self

OWN_MACHINE_FOLDER: Final = Path(paths.OWN_MACHINE_FOLDER)
"""Where whoever runs the machine has our settings for everybody."""


class OwnFiles(Layers):
    """Both files put together."""

    @classmethod
    def read(cls, home: Path, machine: Path = OWN_MACHINE_FOLDER) -> Self:
        """Read them, none of which need be there. Raises ConfigError: one cannot be read, or is no TOML."""
        person = TomlFile.read(home / paths.SETTINGS)
        everybody = TomlFile.read(machine / paths.SETTINGS, must_lead=True)
        return cls((person, person.values), (everybody, everybody.values))

    def table(self, name: str) -> dict[str, Any]:
        """Return a table, which may be empty. Raises ConfigError for what is none."""
        table = self.values.get(name, {})
        if not isinstance(table, dict):
            raise self.error(name, complaint="must be a table")
        return table

    def text(self, table: str, key: str, what: str) -> str | None:
        """Return a text that is not blank, or None. Raises ConfigError, with `what` it has to be."""
        value = self.table(table).get(key)
        if value is None or (isinstance(value, str) and value.strip()):
            return value and value.strip()
        raise self.error(table, key, complaint=f"must be {what}")

    def find_unknown(self, tables: Mapping[str, Collection[str]]) -> Iterator[str]:
        """Say of each table and key that is not among these in which file, and where in it, it stands."""
        for file, values in self._layers:
            for name, keys in values.items():
                if name not in tables:
                    known = " and ".join(f"[{table}]" for table in tables)
                    yield file.describe(name, complaint=f"is not known, and ignored; there are the tables {known}")
                elif isinstance(keys, dict):
                    complaint = f"is not known, and ignored; there are {', '.join(tables[name])}"
                    yield from (
                        file.describe(name, key, complaint=complaint) for key in keys if key not in tables[name]
                    )
