"""What is said of a failure that nobody foresaw."""

from __future__ import annotations

import re

import pytest

from accountd.config.urls import split_url
from accountd.unforeseen import describe_unforeseen


def test_the_place_is_in_the_package_and_the_words_are_in_nothing() -> None:
    """A library fails where it was given something wrong, and what that was, its words may quote."""
    with pytest.raises(ValueError, match="secret") as caught:
        split_url("https://host:secret")
    assert re.fullmatch(r"ValueError at config/urls\.py:\d+ \(split_url\)", describe_unforeseen(caught.value))
