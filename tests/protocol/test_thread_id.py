"""In which spellings a thread may be asked for, and what is said of the others, as by codex 0.169."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import InvalidRequest
from accountd.protocol.thread_id import parse_thread_id
from fakes.payloads import THREAD


@pytest.mark.parametrize(
    "text", [THREAD, THREAD.upper(), THREAD.replace("-", ""), "{" + THREAD + "}", "urn:uuid:" + THREAD]
)
def test_a_thread_is_asked_for_in_one_spelling(text: str) -> None:
    """Capitals, braces, a URN and leaving out the hyphens are the same id."""
    assert parse_thread_id(text) == THREAD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1"),
        (
            THREAD.replace("-", "_"),
            "character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `_` at 9",
        ),
        (
            "{" + THREAD,
            "character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `{` at 1",
        ),
        (
            "{" + THREAD[:-1] + "é}",
            "character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `é` at 36",
        ),
        ("", "length: expected length 32 for simple format, found 0"),
        ("a" * 33, "length: expected length 32 for simple format, found 33"),
        (THREAD[:-1], "group length in group 4: expected 12, found 11"),
        ("d" + THREAD, "group length in group 0: expected 8, found 9"),
        ("db8e4ae9-01bb48dd-a77c-64ae6ed0d35a-", "group length in group 1: expected 4, found 8"),
        ("db8e4ae9-01bb-48dd-a77c64ae6ed0d35a", "group count: expected 5, found 4"),
        ("{" + THREAD.replace("-", "") + "}", "group count: expected 5, found 1"),
    ],
)
def test_what_is_no_id_of_a_thread_is_told_why(text: str, reason: str) -> None:
    """The first fault is named, with what was found there."""
    with pytest.raises(InvalidRequest) as caught:
        parse_thread_id(text)
    assert str(caught.value) == f"invalid thread id: invalid {reason}"


@given(st.text(alphabet="aF0-{}urn:idg", max_size=50))
def test_an_id_is_spelled_well_or_refused(text: str) -> None:
    """Whatever is asked for, it is a well-spelled id or an InvalidRequest."""
    try:
        spelled = parse_thread_id(text)
    except InvalidRequest:
        return
    assert [len(group) for group in spelled.split("-")] == [8, 4, 4, 4, 12]
