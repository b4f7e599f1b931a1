"""The reason of an error: which it is, who is told of it, and that the page has them all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd import errors
from accountd.errors import (
    AccountdError,
    ConfigError,
    InvalidRequest,
    LoginFailed,
    NotLoggedIn,
    RefreshFailed,
    RefreshRefused,
    RemoteUnreachable,
    RequestError,
    RequestFailed,
    StorageError,
    WorkspaceForbidden,
)
from accountd.protocol.jsonrpc import render_error
from accountd.protocol.reasons import REASONS, find_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


class Narrower(StorageError):
    """A class that a room has below one of the tree."""


def caused(error: AccountdError, *causes: Exception) -> AccountdError:
    """Make one error come from the next, and so on."""
    for effect, cause in zip((error, *causes), causes, strict=False):
        effect.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotLoggedIn("x"), "notLoggedIn"),
        (InvalidRequest("x"), "invalidRequest"),
        (caused(InvalidRequest("x"), WorkspaceForbidden("y")), "workspaceForbidden"),
        (caused(RequestFailed("x"), LoginFailed("y"), RemoteUnreachable("z")), "remoteUnreachable"),
        (caused(RequestFailed("x"), RefreshFailed("y"), RemoteUnreachable("z")), "refreshFailed"),
        (caused(RequestFailed("x"), RefreshRefused("y")), "refreshRefused"),
        (caused(RequestFailed("x"), OSError(28, "full")), "requestFailed"),
        (caused(RequestFailed("x"), Narrower("y")), "storageError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_reason_is_the_first_class_that_says_something(error: AccountdError, reason: str) -> None:
    """What only says that it failed is passed over for its cause; a class of a room is the one of the tree."""
    assert find_reason(error) == reason


def test_an_error_that_caused_itself_has_its_own_reason() -> None:
    """Python lets one be raised from itself."""
    error = LoginFailed("x")
    assert find_reason(caused(error, error)) == "loginFailed"


def test_only_who_declares_the_extension_is_told() -> None:
    """Others get what they always got, to the byte."""
    error = NotLoggedIn("nobody is logged in")
    assert json.loads(render_error(1, error)) == {"id": 1, "error": {"code": -32600, "message": str(error)}}
    told = json.loads(render_error(1, error, extension=True))
    assert told["error"]["data"] == {"accountd": {"reason": "notLoggedIn"}}


def test_every_error_that_a_client_may_be_told_has_a_reason() -> None:
    """All of the tree but what ends a start, and the classes that only hold others together."""
    tree = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AccountdError)}
    branches = {AccountdError, RequestError, errors.RefreshError, errors.RemoteError}
    assert REASONS.keys() == tree - branches - {ConfigError, errors.SocketError}


def rows(page: str) -> Iterator[str]:
    """List the first cells of the table of reasons."""
    section = page.partition("### Reasons")[2].partition("\n## ")[0].partition("\n### ")[0]
    yield from re.findall(r"(?m)^\| `(\w+)` \|", section)


def test_the_page_has_every_reason() -> None:
    """In the order of the table, and no others."""
    assert list(rows(PAGE.read_text(encoding="utf-8"))) == list(REASONS.values())
