"""A Secret shows dots wherever text is made of it by accident."""

from __future__ import annotations

import copy
import functools
import io
import json
import logging
import pickle
import pprint
import traceback
from typing import TYPE_CHECKING

import msgspec
import pytest

from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "canary-5f0c"
DOTS = "Secret(••••)"


@pytest.mark.parametrize(
    "render",
    [
        repr,
        str,
        ascii,
        format,
        "{}".format,
        "{0!r:>20}".format,
        lambda secret: f"{secret} {secret!s} {secret:>20} {secret:.30}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # as log calls do it
        lambda secret: str([secret, {"a": (secret,)}]),
        lambda secret: repr(Holder(secret)),
        lambda secret: str(ValueError(secret)),
        lambda secret: pprint.pformat({"a": secret}),
    ],
)  # fmt: skip
def test_text_made_of_it_has_dots(render: Callable[[Secret], str]) -> None:
    """No way of making text of a Secret, or of what holds one, shows it."""
    text = render(Secret(CANARY))
    assert CANARY not in text
    assert "Secret(" in text


class Holder(msgspec.Struct):
    """A value with a token in it."""

    token: Secret


def test_a_log_has_dots() -> None:
    """Neither the arguments of a log call nor the traceback of a logged exception show it."""
    out = io.StringIO()
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(out))
    secret = Secret(CANARY)
    logger.error("failed with %s", secret, exc_info=ValueError(secret))
    assert f"failed with {DOTS}" in out.getvalue()
    assert CANARY not in out.getvalue()


def test_a_traceback_with_locals_has_dots() -> None:
    """A report that prints the variables of each frame does not show it."""

    def fail(token: Secret) -> None:
        raise ValueError(token)

    with pytest.raises(ValueError, match="Secret") as caught:
        fail(Secret("".join(["canary", "-5f0c"])))  # the report quotes this line, which must not be the leak
    report = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert f"token = {DOTS}" in report
    assert CANARY not in report


@pytest.mark.parametrize(
    "write",
    [
        *(functools.partial(pickle.dumps, protocol=version) for version in range(pickle.HIGHEST_PROTOCOL + 1)),
        lambda secret: pickle.dumps([secret]),
        copy.copy,
        copy.deepcopy,
        json.dumps,
        msgspec.json.encode,
        msgspec.to_builtins,
        lambda secret: msgspec.json.encode(Holder(secret)),
    ],
)
def test_it_is_not_written_or_copied(write: Callable[[Secret], object]) -> None:
    """What would carry the text elsewhere is refused, and the refusal does not carry it either."""
    with pytest.raises(TypeError) as caught:
        write(Secret(CANARY))
    assert CANARY not in str(caught.value)


def test_only_reveal_gives_the_text() -> None:
    """The text is for the wire and the disk, and there is no other attribute to come by it."""
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    assert not hasattr(secret, "__dict__")
    with pytest.raises(AttributeError):
        secret.other = 1  # type: ignore[attr-defined]  # which is the point


def test_secrets_are_compared_by_their_text() -> None:
    """Equal texts are equal secrets, also as keys, and a secret equals no string."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_text_that_is_no_unicode_can_be_compared() -> None:
    """A lone surrogate gets no exception out of the comparison, which would carry the text."""
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret("\ud800") != Secret(CANARY)


def test_an_empty_secret_is_false() -> None:
    """A caller can ask whether there is one without revealing it."""
    assert not Secret("")
    assert Secret(" ")
