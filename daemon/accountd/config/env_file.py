"""The `.env` in `CODEX_HOME`, as Codex reads it: variables that go before those of the environment.

It is where people put the way to the network for programs that start without a shell. So what is taken of it is
that: proxies and certificates. The rest is for what Codex runs. Names that begin with `CODEX_` Codex does not take
from it either, so that nobody who can write there moves the issuer or the home.

A line is `NAME=value`, perhaps with `export` before it, in quotes, or with a comment behind it; `$NAME` and
`${NAME}` stand for variables of the environment or of lines before. A line that is none is passed over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from accountd import paths
from accountd.files.read import read_own_file

if TYPE_CHECKING:
    from collections.abc import Mapping

TAKEN: Final = frozenset(
    spelled
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
    for spelled in ((name, name.lower()) if name.endswith("_PROXY") else (name,))
)
"""Variables about the network that are not Codex's own."""

_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=\s*(.*)", re.ASCII)
_PIECE: Final = re.compile(
    r"""'(?P<literal>[^']*)'|"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<plain>(?:\\.|[^\s'"\\])+)|(?P<end>\s+(?:#.*)?$)"""
)
_MEANT: Final = re.compile(r"\\(.)|\$\{([^}]+)\}|\$(\w+)", re.ASCII)


class EnvFile(NamedTuple):
    """What is taken of it. `fault` says why nothing is, where there is one that cannot be used."""

    path: str
    values: Mapping[str, str]
    fault: str | None = None
    remedy: str = "make it a file of yours that can be read"


def read_env_file(environ: Mapping[str, str]) -> EnvFile:
    """Read that of an environment's home; of one that is not there, nothing. Raises ConfigError for no home."""
    path = f"{paths.codex_home(environ)}/.env"
    try:
        text = read_own_file(path).decode("utf-8-sig")
    except FileNotFoundError:
        return EnvFile(path, {})
    except UnicodeDecodeError:
        return EnvFile(path, {}, f"{path} is not read: it is no UTF-8", "write it anew as UTF-8")
    except OSError as error:
        from accountd.files.remedy import (
            find_reason,
            find_remedy,
        )  # for a fault alone: the verbs read it as they start

        return EnvFile(
            path, {}, f"{path} is not read: {find_reason(error)}", find_remedy(path, error) or EnvFile.remedy
        )
    values = parse_env_file(text, environ)
    return EnvFile(path, {name: value for name, value in values.items() if name in TAKEN})


def join_env_file(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as it is to be read by whoever goes to the network: with the file's in front."""
    return {**environ, **read_env_file(environ).values}


def parse_env_file(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Read all variables of such a text; of one that stands there twice, the last value."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        assignment = _LINE.fullmatch(line)
        if assignment is not None and (value := _read_value(assignment[2], {**found, **environ})) is not None:
            found[assignment[1]] = value
    return found


def _read_value(text: str, known: Mapping[str, str]) -> str | None:
    """Put the pieces of a value together; None of what is no value."""
    pieces, at = [], 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            return None
        literal, quoted, plain = piece["literal"], piece["quoted"], piece["plain"]
        pieces.append(literal or _expand(quoted or plain or "", known, newlines=quoted is not None))
        at = piece.end()
    return "".join(pieces)


def _expand(text: str, known: Mapping[str, str], *, newlines: bool) -> str:
    def replace(meant: re.Match[str]) -> str:
        escaped, braced, bare = meant.groups()
        if escaped is not None:
            return "\n" if newlines and escaped == "n" else str(escaped)
        return known.get(braced or bare, "")

    return _MEANT.sub(replace, text)
