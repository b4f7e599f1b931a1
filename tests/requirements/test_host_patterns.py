"""Globs for host names: what they match, and that no pattern is worth more than a look."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.requirements.host_patterns import matches_host


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("build-7", True),
        ("Build-*", True),
        ("build-?", True),
        ("build-[0-9]", True),
        ("build-[!0-6]", True),
        ("build-[]7]", True),
        ("*", True),
        ("**u*7", True),
        ("build", False),
        ("build-7.example", False),
        ("build-??", False),
        ("build-[!7]", False),
        ("build-[7", False),
        ("", False),
    ],
)
def test_a_pattern_is_a_glob_for_the_whole_name(pattern: str, matches: bool) -> None:
    """Stars, question marks and classes, in any case of letters."""
    assert matches_host("BUILD-7", pattern) is matches


@given(
    st.text("ab-", max_size=8), st.text("ab-*?[]!^\\", max_size=12).filter(lambda glob: not re.search("-.!", glob))
)
def test_patterns_mean_what_they_mean_to_fnmatch(name: str, pattern: str) -> None:
    """Also those that are spelled oddly: brackets within brackets, ranges that are none, stars in a row.

    But for a `!` behind a range that is none, `[b-a!c]`, which `fnmatch` takes for a negation.
    """
    assert matches_host(name, pattern) == fnmatchcase(name, pattern)


@pytest.mark.parametrize("pattern", ["*a" * 10_000 + "b", "*" * 20_000 + "b", "*?" * 10_000, "*[!b]" * 5000 + "b"])
def test_no_pattern_tries_again(pattern: str) -> None:
    """One that could match in ever so many ways is followed in all of them at once; `fnmatch` takes for ever."""
    assert not matches_host("a" * 64, pattern)
