"""Where things are: one place for every path that the program chooses by itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from accountd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


_USUAL_HOME = "~/.codex"


def codex_home(environ: Mapping[str, str]) -> Path:
    """Give the folder that holds `auth.json` and `config.toml`: `CODEX_HOME`, else `~/.codex`."""
    return expand(environ.get("CODEX_HOME", "").strip() or _USUAL_HOME, where="CODEX_HOME")


def expand(path: str, where: str) -> Path:
    """Make a person's path absolute. Raises ConfigError, naming `where`, if it leads to nobody's home."""
    try:
        return Path(path).expanduser().absolute()
    except (RuntimeError, OSError) as error:  # no such person or no home; no working folder to start from
        raise ConfigError(f"{where} must be an absolute path, because {path!r} leads nowhere here") from error


def socket_path(environ: Mapping[str, str]) -> Path:
    """Give the socket on which the daemon of this environment is found: `ACCOUNTD_SOCKET`, else a default.

    A daemon owns the credentials of one `CODEX_HOME`, so every home but the usual one has a socket name of
    its own: a client with another `CODEX_HOME` must never be shown somebody else's account. Two names of one
    folder are one home: links are followed.
    """
    configured = environ.get("ACCOUNTD_SOCKET", "").strip().removeprefix("unix://")
    if configured:
        return expand(configured, where="ACCOUNTD_SOCKET")
    home = codex_home(environ)
    try:
        home = home.resolve()
        usual = home == Path(_USUAL_HOME).expanduser().resolve()
    except (RuntimeError, OSError):  # links in a circle, or a person without a home
        usual = False
    if usual:
        return runtime_folder(environ) / "accountd.sock"
    import hashlib  # takes a tenth of the time that a verb needs to start

    return runtime_folder(environ) / f"accountd-{hashlib.sha256(bytes(home)).hexdigest()[:12]}.sock"


def runtime_folder(environ: Mapping[str, str]) -> Path:
    """Give the private folder for sockets. It is ours alone, so that its mode can be 0700."""
    runtime = environ.get("XDG_RUNTIME_DIR", "").strip()
    if runtime.startswith("/"):  # a relative one is invalid, says the XDG Base Directory Specification
        return Path(runtime) / "accountd"
    # The verbs of the command line start in the time of the standard library alone: imported where needed.
    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of every session without the variable; who listens checks the folder
        try:
            return Path(platformdirs.user_runtime_dir("accountd"))
        except OSError as error:  # a folder in /tmp that somebody else has made
            raise ConfigError(
                f"there is no private folder for the socket; set XDG_RUNTIME_DIR ({error})"
            ) from error


def log_file(environ: Mapping[str, str]) -> Path:
    """Give the file that takes the log of a daemon which a client started, since it has no terminal."""
    return codex_home(environ) / "log" / "accountd.log"
