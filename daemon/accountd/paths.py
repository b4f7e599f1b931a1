"""Where things are: the paths that the program chooses, and the names of all files that it makes or reads.

A name stands here alone: tests/test_architecture.py finds it elsewhere. Those of the kernel and the distribution
are with what reads them, as the CA bundles are. Paths are texts here. The verbs of the command line start with this
module, and pathlib takes a tenth of their time.
"""

from __future__ import annotations

import os
import re
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from accountd.errors import ConfigError, describe_os_error

if TYPE_CHECKING:
    from collections.abc import Mapping

# In CODEX_HOME, and Codex's own.
CREDENTIAL: Final = "auth.json"
CREDENTIAL_LOCKS: Final = ("auth.json.lock", "auth.lock")
CONFIG: Final = "config.toml"
CONTROL_SOCKET: Final = "app-server-control/app-server-control.sock"
STARTUP_LOCK: Final = "app-server-startup.lock"

# In CODEX_HOME, and ours.
SETTINGS: Final = "accountd.toml"
REQUIREMENTS: Final = "accountd-requirements.json"
ACCOUNTS: Final = "accountd"
LOG: Final = "log/accountd.log"
AGENT_LOG: Final = "log/accountd-agent.log"
AUDIT_LOG: Final = "log/accountd-audit.jsonl"
AUDIT_LOG_OF_GUESTS: Final = "log/accountd-audit-guests.jsonl"
DAEMONS: Final = "log/accountd-daemons.jsonl"
OWN_LOGS: Final = (LOG, AUDIT_LOG, AUDIT_LOG_OF_GUESTS)
"""In CODEX_HOME, or in the folder that stands in for it (`files.own_folder`)."""

# In ACCOUNTS, which comes with the second account.
ACCOUNT_LIST: Final = "accounts.json"
ACCOUNT_RECORDS: Final = "accounts"

# Of programs that switch accounts.
SWITCHER_REGISTRY: Final = "registry.json"
SWITCHER_ACCOUNTS: Final = "accounts.json"
SWITCHER_SESSIONS: Final = "account-sessions.json"

# Elsewhere.
MACHINE_FOLDER: Final = "/etc/codex"
OWN_MACHINE_FOLDER: Final = "/etc/accountd"
MACHINE_REQUIREMENTS: Final = "requirements.toml"
MANAGED_CONFIG: Final = "managed_config.toml"
SOCKET: Final = "accountd.sock"
TOKEN_MARK: Final = ".token"  # noqa: S105 - the end of a file's name
AGENTS: Final = "agents-"
SOCKET_UNIT: Final = "accountd.socket"
SERVICE_UNIT: Final = "accountd.service"
AGENT_UNIT: Final = "accountd-agent.service"
SERVICE_DROP_IN: Final = "no-namespace.conf"
SANDBOX_HOME: Final = "accountd-sandbox-"
"""How the name of a CODEX_HOME begins that a sandbox makes for itself, and deletes."""
SANDBOX_LOCK: Final = "accountd-sandbox.lock"

_HOME: Final = ".codex"
"""CODEX_HOME, in the person's home folder."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def codex_home(environ: Mapping[str, str]) -> str:
    """Return the folder that holds `auth.json` and `config.toml`: `CODEX_HOME`, else `~/.codex`.

    Raises ConfigError for one that is not there and looks as if somebody should have expanded it: such as
    `$HOME/.codex`, from a file of variables that no shell reads. It would be made, by that name, anywhere.
    """
    named = environ.get("CODEX_HOME", "").strip()
    if not named and user_home() is None:
        odd = os.environ.get("HOME", "").strip()
        unset = f"HOME is not set, and no user has the uid {os.getuid()}"
        why = f"HOME is {odd}, which is no absolute path" if odd else unset
        raise ConfigError(f"there is no home folder: {why}; set CODEX_HOME to a folder that can be written")
    home = expand(named or f"~/{_HOME}", where="CODEX_HOME")
    is_odd = not named.startswith(("/", "~")) or not {*named}.isdisjoint("\"'`$")
    if named and is_odd and not os.path.isdir(home):
        shown = named.replace('"', '\\"')
        raise ConfigError(
            f'CODEX_HOME points to "{shown}", but that path does not exist; it must be an absolute path, without '
            "quotes and variables"
        )
    if os.path.basename(home).startswith(SANDBOX_HOME) and not os.path.isdir(home):
        raise ConfigError(
            f"CODEX_HOME is {home}, of an `accountd sandbox` that has ended; unset CODEX_HOME, "
            "CODEX_APP_SERVER_LOGIN_ISSUER and ACCOUNTD_SOCKET, or start another"
        )
    return home


def user_home() -> str | None:
    """Return this person's home folder; None where there is none: no HOME, and an id that nobody knows.

    So it is for a HOME that is no absolute path, as one in quotes: it would be another folder from each one.
    """
    named = os.environ.get("HOME", "").strip()
    if not named:
        import pwd  # which few need

        try:
            named = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None
    return os.path.normpath(named) if named.startswith("/") else None


def expand(path: str, where: str) -> str:
    """Make a person's path absolute. Raises ConfigError, naming `where`, if it leads to nobody's home."""
    if path == "~" or path.startswith("~/"):
        expanded = os.path.join(user_home() or "~", path[2:]).rstrip("/") or "/"
    else:
        expanded = os.path.expanduser(path)
    try:
        if not expanded.startswith("~"):  # else there is no such person, or this one has no home
            return expanded if os.path.isabs(expanded) else os.path.join(os.getcwd(), os.path.normpath(expanded))
    except OSError:  # no working folder to start from
        pass
    raise ConfigError(f"{where} must be an absolute path, because {path!r} leads nowhere here")


def read_socket(text: str, where: str) -> str:
    """Make the path of a Unix socket of what a person calls it, absolute. Raises ConfigError, naming `where`.

    That is a path, or `unix://` and a path; not another URL, and no bare word: a daemon would be started at a path
    of that name, in whatever folder this is.
    """
    path = text.removeprefix("unix://")
    if (scheme := _SCHEME.match(path)) is not None:
        raise ConfigError(f"{where} must be the path of a Unix socket, or unix://PATH, and not `{scheme[0]}…`")
    expanded = expand(path, where)
    if path.startswith(("/", "~")) or ("/" in path and os.path.isdir(os.path.dirname(expanded))):
        return expanded
    raise ConfigError(f"{where} must be the path of a Unix socket, from / or ~, or in a folder; {path!r} is none")


def tell(path: str | os.PathLike[str]) -> str:
    """Make the text of a path that others are told: in UTF-8, whatever the locale of this process; or nearly so."""
    return os.fsencode(path).decode("utf-8", "replace")


def leads_to(told: str, path: str) -> bool:
    """Return True if what somebody told of their path is this one. Links are followed, and the disk is asked.

    Two that differ in bytes alone that `tell` replaces are taken for one: from what was told, nobody can say.
    """
    theirs = os.fsdecode(told.encode("utf-8", "replace"))
    return tell(os.path.realpath(theirs)) == tell(os.path.realpath(path))


def socket_path(environ: Mapping[str, str]) -> str:
    """Return the socket on which the daemon of this environment is found: `ACCOUNTD_SOCKET`, else a default.

    A daemon owns the credentials of one `CODEX_HOME`, so every home but the usual one has a socket name of
    its own: a client with another `CODEX_HOME` must never be shown somebody else's account. Two names of one
    folder are one home: links are followed.
    """
    configured = environ.get("ACCOUNTD_SOCKET", "").strip()
    if configured not in ("", "unix://"):
        return read_socket(configured, where="ACCOUNTD_SOCKET")
    home = os.path.realpath(codex_home(environ))
    person = user_home()
    if person is not None and home == os.path.realpath(os.path.join(person, _HOME)):
        return os.path.join(runtime_folder(environ), SOCKET)
    return os.path.join(runtime_folder(environ), f"accountd-{_digest(home)}.sock")


def _digest(path: str) -> str:
    """Return a short name that is a path's own."""
    import hashlib  # takes a tenth of the time that a verb needs to start

    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def runtime_folder(environ: Mapping[str, str]) -> str:
    """Return the private folder for sockets. It is ours alone, so that its mode can be 0700."""
    runtime = environ.get("XDG_RUNTIME_DIR", "").strip()
    if runtime.startswith("/"):  # a relative one is invalid, says the XDG Base Directory Specification
        return os.path.join(runtime, "accountd")
    # The verbs of the command line start in the time of the standard library alone: imported where needed.
    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of every session without the variable; who listens checks the folder
        try:
            return platformdirs.user_runtime_dir("accountd")
        except OSError as error:  # a folder in /tmp that somebody else has made
            raise ConfigError(
                f"there is no private folder for the socket; set XDG_RUNTIME_DIR ({describe_os_error(error)})"
            ) from error


def control_socket(environ: Mapping[str, str]) -> str:
    """Return the socket of Codex's own daemon: whoever listens there is used by plain `codex`."""
    return os.path.join(codex_home(environ), CONTROL_SOCKET)


def codex_startup_lock(environ: Mapping[str, str]) -> str:
    """Return the file that Codex locks while it starts the server of that socket."""
    return os.path.join(os.path.dirname(control_socket(environ)), STARTUP_LOCK)


def agents_folder(environ: Mapping[str, str], account: str | None = None) -> str:
    """Return the folder for the sockets of the agents that fronts of this CODEX_HOME share, for one account."""
    home = os.path.realpath(codex_home(environ))
    name = _digest(home if account is None else f"{home}\n{account.casefold()}")
    return os.path.join(runtime_folder(environ), f"{AGENTS}{name}")


def instance_lock(socket: str | os.PathLike[str]) -> str:
    """Return the file that keeps two daemons from one socket."""
    return f"{os.fspath(socket)}.lock"


def token_lock(environ: Mapping[str, str], socket: str | os.PathLike[str]) -> str:
    """Return the file that keeps two daemons from one token socket: not beside it, where containers can write."""
    folder, name = os.path.split(os.fspath(socket))
    place = os.path.join(os.path.realpath(folder), name)
    return os.path.join(runtime_folder(environ), f"token-{_digest(place)}.lock")


def token_mark(socket: str | os.PathLike[str]) -> str:
    """Give the file that marks a path as that of a token socket, for whoever sees its folder in a container."""
    return f"{os.fspath(socket)}{TOKEN_MARK}"


def token_socket(environ: Mapping[str, str]) -> str:
    """Return where a token socket is whose place nobody has named: in a folder to mount, of this home."""
    folder, name = os.path.split(socket_path({**environ, "ACCOUNTD_SOCKET": ""}))
    return os.path.join(os.path.dirname(folder), f"{name.removesuffix('.sock')}-tokens", "s")


def folders_beside(environ: Mapping[str, str]) -> list[str]:
    """Return the folders for what a CODEX_HOME that cannot be written would have in it, the better one first."""
    name = _digest(os.path.realpath(codex_home(environ)))
    state = environ.get("XDG_STATE_HOME", "").strip()
    person = user_home()
    if not state.startswith("/"):
        state = os.path.join(person, ".local", "state") if person is not None else ""
    found = [os.path.join(state, "accountd", name)] if state else []
    with suppress(ConfigError):
        found.append(os.path.join(runtime_folder(environ), name))
    return found


def units_folder(environ: Mapping[str, str]) -> str:
    """Return the folder of this person's systemd units. Raises ConfigError where there is no home folder."""
    base = environ.get("XDG_CONFIG_HOME", "").strip()
    config = base if base.startswith("/") else expand("~/.config", where="HOME")
    return os.path.join(config, "systemd", "user")


def launch_agents_folder() -> str:
    """Return the folder of this person's LaunchAgents, on macOS. Raises ConfigError, as `units_folder`."""
    return expand("~/Library/LaunchAgents", where="HOME")
