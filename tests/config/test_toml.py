"""TOML from anybody: what is too much is refused before it is parsed, and what is honest is read."""

from __future__ import annotations

import datetime

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from accountd.config import toml as parse
from accountd.config.toml import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_PARTS,
    MAX_VALUES,
    MAX_WORD,
    MalformedToml,
    find_line,
    parse_toml,
)

PARTS, DEPTH = f"a key has more than {MAX_PARTS} parts", f"is nested deeper than {MAX_DEPTH} brackets"
WORD = f"a number or a key is longer than {MAX_WORD} characters"
VALUES, LENGTH = f"has more than {MAX_VALUES} keys and values", f"is longer than {MAX_LENGTH} characters"


def dotted(parts: int, part: str = "a") -> str:
    """Make a key of some parts."""
    return ".".join([part] * parts)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (dotted(10_000) + "=1", PARTS),
        (dotted(MAX_PARTS + 1) + "=1", PARTS),
        (dotted(MAX_PARTS + 1, " 'a' ") + "=1", PARTS),
        (dotted(MAX_PARTS + 1, '"#"') + "=1", PARTS),
        (f"[{dotted(MAX_PARTS + 1)}]", PARTS),
        (f"[[{dotted(MAX_PARTS + 1)}]]", PARTS),
        (f"a = {{ {dotted(MAX_PARTS + 1)} = 1 }}", PARTS),
        (f'a = """\n"""\n{dotted(MAX_PARTS + 1)} = 1', PARTS),
        ("a = " + "[" * (MAX_DEPTH + 1), DEPTH),
        ("a = " + "{a=" * (MAX_DEPTH + 1), DEPTH),
        ("a = " + "[{a=" * MAX_DEPTH, DEPTH),
        (f"a = [{'1,' * MAX_VALUES}]", VALUES),
        (f"a = [{'{},' * MAX_VALUES}]", VALUES),
        ("[[a]]\n" * MAX_VALUES, VALUES),
        ("a = 1\n" * (MAX_VALUES + 1), VALUES),
        ("\n".join(f"[a{n}]" for n in range(MAX_VALUES + 1)), VALUES),
        (f"[{dotted(10)}]\n" * 4000, VALUES),
        ("#" * (MAX_LENGTH + 1), LENGTH),
        ("a = '''\n'''\nb = 0x" + "f" * MAX_WORD, WORD),
        ("a = [1, 0." + "1" * MAX_WORD, WORD),
        ("a = 1979-05-27T07:32:00." + "1" * MAX_WORD, WORD),
        ("a" * (MAX_WORD + 1) + " = 1", WORD),
    ],
    ids=lambda value: value[:24],
)
def test_what_is_too_much_is_not_parsed(text: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each bound is held before the parser sees anything, whatever way a text has to exceed it."""
    monkeypatch.setattr(tomli, "loads", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(MalformedToml) as caught:
        parse_toml(text)
    assert caught.value.complaint == complaint


def test_as_much_as_there_may_be_is_read() -> None:
    """Up to each bound, and where the marks that are counted are in strings and comments."""
    marks = "[{.=," * 8000
    opaque = (
        "1 # {}",
        '"""x"""" # "{}',
        '"{}"',
        "'{}'",
        '"""\n{}\n"""',
        "'''\n{}\n'''",
        '"\\"{}\\\\"',
        '"""{}\\"""""',
        '""""{}"""""',
    )
    for text in (
        f"{dotted(MAX_PARTS)} = 1",
        f"a = {'[' * MAX_DEPTH}{']' * MAX_DEPTH}",
        f"a = {'9' * MAX_WORD}",
        f"a = '{'9' * 9999}' # {'9' * 9999}",
        "\n".join(f'[projects."/home/me/a.b.c/{n}"]\ntrust_level = "trusted"' for n in range(6000)),
        *(f"a = {form.format(marks)}\n\nb = 2" for form in opaque),
    ):
        assert parse_toml(text) == tomli.loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{\n a = 1, # one\n b = [ 2, ],\n}", {"a": 1, "b": [2]}),
        ("{ a = 1, }", {"a": 1}),
        (r'"\e\x41"', "\x1bA"),
        ("07:32", datetime.time(7, 32)),
    ],
)
def test_toml_is_that_of_version_1_1(text: str, value: object) -> None:
    """As Codex reads it: inline tables over several lines, a comma at their end, two more escapes, no seconds."""
    assert parse_toml(f"x = {text}\ny = 2") == {"x": value, "y": 2}


@given(st.text("ab'\"\\#.=[]{},\n ", max_size=40))
def test_nothing_small_is_refused_that_is_toml(text: str) -> None:
    """What is counted is right about strings and comments, or all the same within the bounds."""
    try:
        values = tomli.loads(text)
    except tomli.TOMLDecodeError:
        with pytest.raises(MalformedToml):
            parse_toml(text)
    else:
        assert parse_toml(text) == values


@given(st.lists(st.sampled_from(["'", '"', "'''", '"""', "\\", "#", "\n", "[", "]", "{", "}", ".", "=", "a"])))
def test_only_what_is_neither_string_nor_comment_is_counted(pieces: list[str]) -> None:
    """In what is TOML, no mark that means something is hidden: else a text could hide what it costs."""
    text = "".join(pieces)
    try:
        tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    bare = parse._hide_opaque(text)
    assert len(bare) == len(text)
    brackets = [mark for mark in bare if mark in "[]{}"]
    assert brackets.count("[") == brackets.count("]")
    assert brackets.count("{") == brackets.count("}")


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a = 1\nb = 2", "b", 2),
        ("\n\r\nb = 2", "b", 3),
        ("[t]\nb = 1\n[u]\nb = 2", "u.b", 4),
        ("[t]\nb = 1\n[u]\nc = 2", "u.b", 3),
        ("[t]\nb = 1\nc = 2", "b", None),
        ("t.b = 1", "t.b", 1),
        ("[t]\n[t.b]\nc = 1", "t.b", 2),
        ("x = 1\n[ 't' . \"b\" ]", "t.b", 2),
        ("t = { b = 1 }", "t.b", 1),
        ("[[t]]\nb = 1\n[[t]]\nb = 2", "t.b", 2),
        ("x = [\n'b',\n]\nb = 1", "b", 4),
        ("x = [\n{ b = 1 },\n]\nb = 2", "b", 4),
        ('x = """\nb = 1\n"""\nb = 1', "b", 4),
        ("x = '''\nb = 1'''\nb = 1", "b", 3),
        ("x = {\n b = 1,\n}\nb = 2", "b", 4),
        ("t = {\n b = 1,\n}", "t.b", 1),
        ("# b = 1\nb = 1 # [t]", "b", 2),
        ('"\\u0062" = 1', "b", None),
        ('"a.b" = 1\na.b = 2', "a.b", 2),
    ],
)
def test_a_key_is_found_where_it_stands(text: str, key: str, line: int | None) -> None:
    """In its table, with dots or quotes, and not in a string, a list, a comment or another table."""
    assert tomli.loads(text)
    assert find_line(text, *key.split(".")) == line


def test_a_key_is_found_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A string may have the key on each of its lines, and nothing is parsed to tell."""
    text = 'x = """\n' + "b = 1\n" * 40_000 + '"""\nb = 1'
    monkeypatch.setattr(tomli, "loads", lambda _: pytest.fail("it was parsed"))
    assert find_line(text, "b") == 40_003
