"""The `.env` in `CODEX_HOME`, as Codex reads it: variables that go before those of the environment.

It is where people put the way to the network for programs that start without a shell. So what is taken of it is
that: proxies and certificates. The rest is for what Codex runs. Names that begin with `CODEX_` Codex does not take
from it either, so that nobody who can write there moves the issuer or the home.

A line is `NAME=value`, perhaps with `export` before it, in quotes, or with a comment behind it; `$NAME` and
`${NAME}` stand for variables of lines before, or else of the environment. A line that is none is passed over, but a
quote that is open at its end goes on in the next ones. This is dotenvy's reading, with what is odd in it: a name
without braces has no `_`, and what comes behind it is taken as it is, be it the quote at the end.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from accountd import paths
from accountd.files.read import read_own_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TAKEN: Final = frozenset(
    spelled
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
    for spelled in ((name, name.lower()) if name.endswith("_PROXY") else (name,))
)
"""Variables about the network that are not Codex's own."""

_CODEX: Final = "CODEX_"
"""How names begin that are Codex's own, and not set from the file."""

_STATEMENT: Final = re.compile(
    r"""[^\S\n]*(?:\#[^\n]*|((?:\\[^\n]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\|(?<!\s)\#|[^\\'"#\n])*)(?:\#[^\n]*)?)(?:\n|\Z)""",
    re.DOTALL,
)
"""A line without its comment; several, where a quote is open at the end of one."""

_ASSIGNMENT: Final = re.compile(r"(?:export\s+)?([A-Za-z_][\w.]*)\s*=\s*(.*)", re.ASCII | re.DOTALL)

_MEANT: Final = (
    r"""\\(?P<escaped>[\\'"$ n])|\$\{(?P<braced>[^}]*)\}|\$(?!\{)(?P<bare>[^\W_]*)(?P<end>[^$])?|(?P<quote>")"""
)
_PLAIN: Final = re.compile(
    rf"{_MEANT}|'(?P<literal>[^']*)'|(?P<gap>[ \t])|(?P<plain>[^\\$'\" \t]+)|\\\Z", re.DOTALL
)
_QUOTED: Final = re.compile(rf"{_MEANT}|(?P<plain>[^\\$\"]+)", re.DOTALL)
"""Pieces of a value, without double quotes and within. What ends a name without braces is taken as it is."""


_NO_TEXT: Final = re.compile("[\udc80-\udcff]")
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How some editors, and the shell of Windows, write a text."""


_REMEDY: Final = "make it a file of yours that can be read"


class EnvFile(NamedTuple):
    """What is taken of it. `fault` says why no more is, where there is one that cannot be used."""

    path: str
    values: Mapping[str, str]
    fault: str | None = None
    remedy: str = ""


def read_env_file(environ: Mapping[str, str]) -> EnvFile:
    """Read that of an environment's home; of one that is not there, nothing. Raises ConfigError for no home."""
    path = f"{paths.codex_home(environ)}/.env"
    try:
        document = read_own_file(path)
    except FileNotFoundError:
        return EnvFile(path, {})
    except OSError as error:
        from accountd.files import remedy  # for a fault alone: the verbs read the file as they start

        fault, advice = f"{path} is not read: {remedy.find_reason(error)}", remedy.find_remedy(path, error)
        return EnvFile(path, {}, fault, advice or _REMEDY)
    values = parse_env_file(document.decode("utf-8-sig", "surrogateescape"), environ)
    taken = {name: value for name, value in values.items() if name in TAKEN and not _NO_TEXT.search(value)}
    if document.startswith(_UTF_16) or TAKEN & values.keys() - taken.keys():
        return EnvFile(path, taken, f"{path} is not read as a whole: it is no UTF-8", "write it anew as UTF-8")
    return EnvFile(path, taken)


def join_env_file(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as it is to be read by whoever goes to the network: with the file's in front."""
    return {**environ, **read_env_file(environ).values}


def parse_env_file(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Read all variables of such a text; of one that stands there twice, the last value."""
    found: dict[str, str] = {}

    def look_up(name: str) -> str:
        is_taken = name in found and not name.upper().startswith(_CODEX)
        return found[name] if is_taken else environ.get(name, found.get(name, ""))

    at = 0
    while at < len(text) and (statement := _STATEMENT.match(text, at)) is not None:
        at = statement.end()
        assignment = _ASSIGNMENT.fullmatch((statement[1] or "").rstrip())
        if assignment is not None and (value := _read_value(assignment[2], look_up)) is not None:
            found[assignment[1]] = value
    return found


def _read_value(text: str, look_up: Callable[[str], str]) -> str | None:
    """Put the pieces of a value together; None of what is no value, such as two words."""
    pieces, at, quoted = [], 0, False
    while at < len(text) and text[:1] != "#":
        piece = (_QUOTED if quoted else _PLAIN).match(text, at)
        if piece is None:
            return None
        at = piece.end()
        match piece.lastgroup:
            case "escaped":
                pieces.append("\n" if piece["escaped"] == "n" else piece["escaped"])
            case "braced":
                pieces.append(look_up(piece["braced"]))
            case "bare" | "end":
                pieces += look_up(piece["bare"]), piece["end"] or ""
            case "quote":
                quoted = not quoted
            case "gap":
                if text[at:].strip(" \t"):
                    return None
            case "literal" | "plain" as kind:
                pieces.append(piece[kind])
    return None if quoted else "".join(pieces)
