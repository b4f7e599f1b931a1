"""The limits: their defaults and bounds, the file that they are read from, and the table that documents them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from accountd.config import settings
from accountd.config.limits import Limits, limit_range
from accountd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
NAMES = Limits.__struct_fields__


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Give a function that writes the file."""

    def write(text: str) -> Path:
        file = tmp_path / "accountd.toml"
        file.write_text(text)
        return file

    return write


def read_limits(file: Path) -> tuple[Limits, tuple[str, ...]]:
    """Read a file as the person's, and give what is warned of in it."""
    config = settings.load({"CODEX_HOME": str(file.parent)}, file.parent / "none", file.parent / "none")
    return config.limits, config.warnings


def complaint(file: Path) -> str:
    """Give the text with which a file is refused, without its path."""
    with pytest.raises(ConfigError) as caught:
        read_limits(file)
    return str(caught.value).removeprefix(str(file))


def test_nothing_has_to_be_configured(tmp_path: Path, write: Callable[[str], Path]) -> None:
    """No file, an empty one, and an empty table are the defaults."""
    assert read_limits(tmp_path / "none" / "accountd.toml") == (Limits(), ())
    assert read_limits(write("")) == (Limits(), ())
    assert read_limits(write("[limits]\n")) == (Limits(), ())


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_is_read_within_its_range(name: str, write: Callable[[str], Path]) -> None:
    """Both ends of the range are good, one step further is an error; the default is within it."""
    least, most = limit_range(name)
    assert least <= getattr(Limits(), name) <= most
    for value in (least, most):
        limits, _ = read_limits(write(f"limits.{name} = {value}"))
        assert limits == msgspec.structs.replace(Limits(), **{name: value})
    for value in (least - 1, most + 1):
        file = write(f"# mine\n[limits]\n\n{name} = {value}\n")
        assert complaint(file) == f":4: limits.{name} must be a whole number from {least} to {most}"


@pytest.mark.parametrize("value", ['"8"', "8.5", "true", "nan", "[8]", "{}", "1979-05-27", "9223372036854775808"])
def test_what_is_no_whole_number_is_an_error(value: str, write: Callable[[str], Path]) -> None:
    """Nothing is converted."""
    file = write(f"[limits]\nconnections = {value}")
    assert complaint(file) == ":2: limits.connections must be a whole number from 8 to 100000"


def test_seconds_of_a_ping_may_be_none(write: Callable[[str], Path]) -> None:
    """Zero turns the pings off; no other limit can be turned off."""
    assert read_limits(write("[limits]\nping_seconds = 0"))[0].ping_seconds == 0
    assert [name for name in NAMES if limit_range(name)[0] == 0] == ["ping_seconds"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limits = 9", ":1: limits must be a table"),
        ("[[limits]]\nconnections = 9", ":1: limits must be a table"),
        ("limits = { requests = 9, connections = 1 }", ":1: limits.requests must be a whole number from 16 to "),
        ('"limits" . "requests" = 1', ":1: limits.requests must be a whole number from 16 to "),
        ("[limits.requests]\nconnections = 9", ":1: limits.requests must be a whole number from 16 to "),
        ("[limits]\nrequests = 1\nrequests = 2", ":3: requests: Cannot overwrite a value"),
        ("[limits]\nrequests = ", ":2: requests: Invalid value"),
    ],
)
def test_an_error_names_the_line_and_the_key(text: str, expected: str, write: Callable[[str], Path]) -> None:
    """However the key is written."""
    assert complaint(write(text)).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[limits]\nconections = 9\nrequests = 99", ":2: limits.conections is not known, and ignored; there are "),
        (
            "connections = 9\nlimits.requests = 99",
            ":1: connections is not known, and ignored; there are the ",
        ),
        ("limits.requests = 99\nagent.codecs = 9", ":2: agent.codecs is not known, and ignored; there are codex"),
        ("\n[limit]\nconnections = 9\n[limits]\nrequests = 99", ":2: limit is not known, and ignored; "),
    ],
)
def test_a_key_that_means_nothing_is_warned_of(text: str, expected: str, write: Callable[[str], Path]) -> None:
    """It may be a newer version's. The others count."""
    file = write(text)
    limits, (warning,) = read_limits(file)
    assert warning.removeprefix(str(file)).startswith(expected)
    assert limits == Limits(requests=99)


def test_a_key_of_the_same_name_elsewhere_is_not_taken_for_it(write: Callable[[str], Path]) -> None:
    """The line is that of the key in its table, not of a text that looks like it."""
    file = write('limits.connections = 8\nlimits.requests = """\nrequests = 1\n"""\n')
    assert complaint(file).startswith(":2: limits.requests must be")


def test_the_documents_have_every_limit() -> None:
    """The table in docs/operations.md has each key with its default and its range, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) to (\d+) \|", PAGE.read_text(), re.MULTILINE)
    expected = [(name, getattr(Limits(), name), *limit_range(name)) for name in NAMES]
    assert rows == [tuple(map(str, row)) for row in expected]
