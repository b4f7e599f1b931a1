"""The one place that parses TOML: that of version 1.1, as Codex, within bounds, since anybody may have written it.

A parser compares each part of a dotted key with all parts before it, and remembers what it saw: a key of 20,000
parts, which is 40 KB, has taken four seconds and 1.5 GiB, and tomli's later releases raise RecursionError for it. A
long number is matched at once, while no other thread runs. All else grows with the number of values, or with the
text. So each of these is counted before a text is parsed, in one pass over what is neither a string nor a comment.
What keeps within all the bounds takes some 0.3 s and 60 MiB at worst.
"""

from __future__ import annotations

import re
from typing import Any, Final

import tomli

MAX_LENGTH: Final = 512 << 10
"""Characters of a text. A `config.toml` of years, which trusts three thousand projects, has half of that."""

MAX_VALUES: Final = 32_768
"""Keys and values, counted by the marks that part them. A line of 16 characters for each fills the text."""

MAX_PARTS: Final = 16
"""Parts of a dotted key, or of a table's name. Codex's own have six at most."""

MAX_WORD: Final = 256
"""Characters of a number, or of a key without quotes. No number that means something has more than 30."""

MAX_DEPTH: Final = 16
"""Brackets and braces within each other. Codex's own files have three or four."""

_OPAQUE: Final = re.compile(
    r'''
      """(?: [^"\\]++ | \\. | "{1,2}(?!") )*+ "{3,5}
    | \'\'\'(?: [^']++ | '{1,2}(?!') )*+ '{3,5}
    | " (?: [^"\\\n]++ | \\[^\n] )*+ "
    | ' [^'\n]*+ '
    | \#[^\n]*+
    ''',
    re.VERBOSE | re.DOTALL,
)
"""A string or a comment. None is tried twice. A string without an end is none, nor is it TOML."""

_MARKS: Final = ".=,[{"
_TOO_MANY_PARTS: Final = re.compile(rf"(?:\.[^\n.,=\[\]{{}}]*+){{{MAX_PARTS}}}")
_TOO_LONG: Final = re.compile(rf"(?<![A-Za-z0-9_.+-])[A-Za-z0-9_.+-]{{{MAX_WORD + 1}}}")
_PART: Final = re.compile(r""" "((?:[^"\\]|\\.)*+)" | '([^']*+)' | ([A-Za-z0-9_-]++) """, re.VERBOSE)
_BROKEN_KEY: Final = re.compile(r"\s*([\w.\"'-]{1,100})\s*=")


class MalformedToml(ValueError):
    """A text that is no TOML, or more of it than is read. `line` is None where no single one is to blame."""

    def __init__(self, complaint: str, line: int | None = None) -> None:
        super().__init__(complaint if line is None else f"line {line}: {complaint}")
        self.complaint = complaint
        self.line = line


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a text. Raises MalformedToml."""
    _check_bounds(text)
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise _explain(text, error) from error


def find_line(text: str, *key: str) -> int | None:
    """Find on which line a key stands, else the table that it is in; None if both are spelled oddly.

    The text is one that has been parsed.
    """
    bare = _hide_opaque(text)
    found, best = None, 0
    table: tuple[str, ...] = ()
    start = depth = 0
    for line in bare.split("\n"):
        if depth == 0 and (end := line.find("]" if (heads := line.lstrip().startswith("[")) else "=")) >= 0:
            name = tuple(part[part.lastindex or 0] for part in _PART.finditer(text, start, start + end))
            path = table + name if not heads else name
            table = path if heads else table
            common = min(len(path), len(key))
            if common > best and path[:common] == key[:common]:
                found, best = start, common
        depth += line.count("[") + line.count("{") - line.count("]") - line.count("}")
        start += len(line) + 1
    return None if found is None else text.count("\n", 0, found) + 1


def _check_bounds(text: str) -> None:
    """Raise MalformedToml for a text that would take too long, by a look at its marks alone."""
    if len(text) > MAX_LENGTH:
        raise MalformedToml(f"is longer than {MAX_LENGTH} characters")
    bare = _hide_opaque(text)
    if sum(map(bare.count, _MARKS)) > MAX_VALUES:
        raise MalformedToml(f"has more than {MAX_VALUES} keys and values")
    if long := _TOO_MANY_PARTS.search(bare):
        raise MalformedToml(f"a key has more than {MAX_PARTS} parts", text.count("\n", 0, long.start()) + 1)
    if long := _TOO_LONG.search(bare):
        line = text.count("\n", 0, long.start()) + 1
        raise MalformedToml(f"a number or a key is longer than {MAX_WORD} characters", line)
    depth = 0
    for bracket in re.finditer(r"[\[\]{}]", bare):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, bracket.start()) + 1
            raise MalformedToml(f"is nested deeper than {MAX_DEPTH} brackets", line)


def _hide_opaque(text: str) -> str:
    """Put as many tildes in the place of each string and comment, so that only what has a meaning is left."""
    return _OPAQUE.sub(lambda found: "~" * len(found[0]), text)


def _explain(text: str, error: tomli.TOMLDecodeError) -> MalformedToml:
    """Name the line and, where it has one, the key; where the text breaks off, the last line that is not blank."""
    lines = text.rstrip("\n").split("\n")
    line = min(error.lineno, len(lines))
    key = _BROKEN_KEY.match(lines[line - 1])
    return MalformedToml(f"{key[1] + ': ' if key else ''}{error.msg}", line)
