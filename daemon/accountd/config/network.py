"""The way to the network, as the environment, `.env` in CODEX_HOME and our own files have it.

The table `[network]` of our files says what variables say as well, for those whose programs start without a
shell, or for a whole machine. A variable goes before it, also one that is set to nothing; so a setting has a name
among the variables that none of them can have, by which it is told of, too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from accountd import paths
from accountd.config.env_file import join_env_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.config.own import OwnFiles

PROXY: Final = "network.proxy"
EXEMPT: Final = "network.no_proxy"
AUTHORITIES: Final = "network.ca_certificate"

NETWORK_KEYS: Final = {
    "proxy": "the URL of a proxy",
    "no_proxy": "what is reached without the proxy: names, addresses and networks, with commas between",
    "ca_certificate": "the path of a PEM file",
}
"""The keys of the table, and what each of them is."""


def read_network(files: OwnFiles) -> dict[str, str]:
    """Return what the table says, by the names above. Raises ConfigError."""
    found = {f"network.{key}": files.text("network", key, what) for key, what in NETWORK_KEYS.items()}
    return {name: value for name, value in found.items() if value is not None}


def join_network(environ: Mapping[str, str]) -> dict[str, str]:
    """Return all that decides the way to the network, by its names. Raises ConfigError."""
    home = paths.codex_home(environ)
    joined = join_env_file(environ)
    if not any(os.path.lexists(f"{folder}/{paths.SETTINGS}") for folder in (home, paths.OWN_MACHINE_FOLDER)):
        return joined
    from pathlib import Path  # as below

    from accountd.config.own import OwnFiles  # to read TOML takes as long to import as a verb takes to run

    files = OwnFiles.read(Path(home), Path(paths.OWN_MACHINE_FOLDER))
    return {**read_network(files), **joined}
