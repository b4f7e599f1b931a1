"""The numbers that the documents tell are those of the code, and there is none of which nobody knows whose it is.

`constants.toml` has a phrase of a page for each, with a field in the place of the number: `for {s} at most` and
`REVOKE_TIMEOUT in web/issuer.py` is the text `for 10 s at most`, as long as the constant is 10. A field names
the unit: `{s}`, `{KiB}`, `{tries}`; `{word minutes}` writes the number out, `{}` and `{,}` have no unit.
A table whose last column names the constant, `NAME` in `path`, needs no phrase for the value in its second one.
Whatever else in a page looks like a measure, a port, a mode or a code has its reason in the part `others`; a phrase
there that ends in `…` is the rest of the line.
"""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec
import pytest

PROJECT: Final = Path(__file__).parents[2]
PAGES: Final = ["README.md", "SECURITY.md", *(f"docs/{path.name}" for path in sorted(PROJECT.glob("docs/*.md")))]
MEASURED: Final = "docs/performance.md"  # `make bench` and `make flood` write it, and measure all that is in it

_TOLD: Final = tomllib.loads(Path(__file__).with_name("constants.toml").read_text(encoding="utf-8"))
HELD: Final[dict[str, dict[str, str | list[str]]]] = _TOLD["held"]
OTHERS: Final[dict[str, dict[str, list[str]]]] = _TOLD["others"]

_SCALES: Final = {
    "ms": 0.001,
    "millisecond": 0.001,
    "second": 1,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "day": 86400,
    "KiB": 1 << 10,
    "Ki characters": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
_WORDS: Final[dict[float, str]] = dict(
    enumerate(["no", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
)
_WORDS.update({0.25: "quarter of an", 0.5: "half a"})

_NUMBER: Final = r"\d[\d,]*(?:\.\d+)?"
_TIME: Final = r"(?:milliseconds?|seconds|minutes?|hours?|days?)"
_NOUN: Final = (
    r"(?:s|ms|min|h|bytes?|KB|[KMG]iB|[MG]B|(?:Ki )?characters|messages|requests|connections|clients|files|lines"
    r"|kinds|keys|fragments|parts|brackets|pieces|descriptors|tries|times|digits|bits|second)"
)
_WORD: Final = rf"(?:{'|'.join(_WORDS.values())}|an|each|(?:half|quarter of) an?|sixteen|twenty|thirty)"
MEASURE: Final = re.compile(
    rf"(?<![\w.,-])(?:{_NUMBER} (?:{_NOUN}|{_TIME})|{_WORD} {_TIME}|{_WORD} (?:lines|files|tries|characters)"
    r"|\d+ a second|a second(?= later| at most| if |[,.;:])|half a second"
    r"|mode 0\d+|ports? `?\d+`?(?: (?:and|or) \d+)?|(?:exit|close) codes? \d+|\d{4,})(?![\w-])"
)
NO_MEASURE: Final = re.compile(
    r"RFC \d+|\d{4}(?= §)|\d{4}-\d\d-\d\d|pid \d+|:\d{4,5}\b|/user/\d+|(?ms:^```json$.*?^```$)"
    r"|(?m:^\| `\w+` \| \d+ \| \d+ to \d+ \|)"  # the limits, which tests/config/test_limits.py looks at
)
_VALUE: Final = re.compile(rf"(?:for )?({_NUMBER})(?: (\w+?))?(?: each| more| at most)?")
_WHERE: Final = re.compile(r"`([\w.]+)`(?:, `([\w.]+)`)? in `([\w/]+\.py)`")


def read_constant(where: str) -> Any:
    """Give the value of `NAME in path`; `NAME.0` is one of a tuple's, which are pauses else, and are added up.

    `Struct.field` is its default, and `Struct.field.le`, as `Alias.max_length`, a bound on it.
    """
    name, _, path = where.partition(" in ")
    value: Any = importlib.import_module(f"accountd.{path.removesuffix('.py').replace('/', '.')}")
    for part in name.split("."):
        if isinstance(value, type) and issubclass(value, msgspec.Struct):
            bounded = name.endswith((".le", ".ge"))
            value = get_type_hints(value, include_extras=True)[part] if bounded else getattr(value(), part)
        elif hasattr(value, "__metadata__"):
            value = getattr(value.__metadata__[0], part)
        else:
            value = value[int(part)] if part.isdigit() else getattr(value, part)
    return sum(value) if isinstance(value, tuple) else value


def render(phrase: str, constants: str | list[str]) -> str:
    """Write the constants into the fields of a phrase, in their order."""
    values = iter([constants] if isinstance(constants, str) else constants)
    text = re.sub(r"\{([\w, ]*)\}", lambda field: write(read_constant(next(values)), field[1]), phrase)
    assert next(values, None) is None, f"more constants than fields: {phrase}"
    return text


def write(value: float, field: str) -> str:
    """Write a value of seconds, bytes or things in the unit of a field, behind its `word`, `each` or `last`."""
    unit = re.sub(r"^(?:word|each|last) ", "", field)
    number = round(value / (_SCALES.get(unit) or _SCALES.get(unit.removesuffix("s")) or 1), 6)
    if field.startswith("word "):
        return f"{'an' if number == 1 and unit == 'hour' else _WORDS.get(number, number)} {unit}"
    if field != unit:
        return field if number == 1 else f"{number} times {field}"
    return f"{number:,.15g}" if unit == "," else f"{number:.15g} {unit}".rstrip()


def read_tables(text: str) -> tuple[list[tuple[int, int]], list[str]]:
    """Find the values whose rows name their constants: where they stand, and which are not those of the code."""
    told, wrong = [], []
    for row in re.finditer(r"(?m)^\|[^|]*\|([^|]*)\|.*\| (`[^|]*) \|$", text):
        named = [(name, path) for *names, path in _WHERE.findall(row[2]) for name in names if name]
        values = [read_constant(f"{name} in {path}") for name, path in named]
        cell = _VALUE.fullmatch(row[1].strip())
        if cell and len({path for _, path in named}) == 1 and isinstance(values[0], int | float):
            told.append(row.span(1))
            number = f"{cell[1].replace(',', '')} {cell[2] or ''}".rstrip()
            wrong += [f"{named[0]} is not {number}" for value in values if write(value, cell[2] or "") != number]
    return told, wrong


def find_faults(page: str, text: str) -> list[str]:
    """Say which phrases a page does not have, and which of its numbers are in none."""
    covered, faults = read_tables(text)
    covered += [match.span() for match in NO_MEASURE.finditer(text)]
    others = [phrase for phrases in OTHERS.get(page, {}).values() for phrase in phrases]
    for phrase in [*(render(*row) for row in HELD.get(page, {}).items()), *others]:
        form = re.escape(phrase[:-1]) + ".*" if phrase.endswith("…") else re.escape(phrase)
        places = [match.span() for match in re.finditer(form, text)]
        faults += [] if places else [f"it does not say: {phrase}"]
        covered += places
    for found in MEASURE.finditer(text):
        if not any(start <= found.start() and found.end() <= end for start, end in covered):
            line = text.count("\n", 0, found.start()) + 1
            faults.append(f"{line}: whose is {found[0]!r} in {text[found.start() - 40 : found.end() + 30]!r}?")
    return faults


@pytest.mark.parametrize("page", [page for page in PAGES if page != MEASURED])
def test_a_page_tells_the_constants_of_the_code(page: str) -> None:
    """Each number that it tells, and each that there is a phrase for."""
    faults = find_faults(page, (PROJECT / page).read_text(encoding="utf-8"))
    assert not faults, "\n".join(faults)


def test_what_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant that has changed, in a phrase and in a table; a phrase that is gone; a number of nobody's."""
    limits = "REVOKE_TIMEOUT in web/issuer.py"
    monkeypatch.setattr("accountd.web.issuer.REVOKE_TIMEOUT", 10.0)
    monkeypatch.setitem(HELD, "page", {"for {s} at most": limits, "in {word seconds}": limits})
    row = "| revocation | 10 s | | | `REVOKE_TIMEOUT` in `web/issuer.py` |\n"
    assert find_faults("page", f"for 10 s at most, in ten seconds, a second socket, RFC 7009\n{row}") == []
    faults = find_faults("page", f"for 11 s at most\nor 3 MiB\n{row.replace('10', '12')}")
    assert [fault.partition(" in '")[0] for fault in faults] == [
        "('REVOKE_TIMEOUT', 'web/issuer.py') is not 12 s",
        "it does not say: for 10 s at most",
        "it does not say: in ten seconds",
        "1: whose is '11 s'",
        "2: whose is '3 MiB'",
    ]
