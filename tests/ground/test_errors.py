"""The exception tree, and how statuses and OS errors are worded."""

from __future__ import annotations

import errno
import importlib
import inspect
import os
import pkgutil
import ssl

import pytest

import accountd
from accountd import errors
from accountd.errors import (
    AccountdError,
    RemoteRefused,
    RequestError,
    describe_os_error,
    describe_shortage,
    describe_status,
)


def test_the_tree_at_the_top_of_the_file_is_the_real_one() -> None:
    """Each class stands in the drawing under its base, with its code if it has one."""
    drawing = [line for line in (errors.__doc__ or "").splitlines() if line.lstrip("├└│─ ")[:1].isupper()]
    drawn = {line.lstrip("├└│─ ").split()[0]: line for line in drawing}
    classes = dict(inspect.getmembers(errors, inspect.isclass))
    tree = {name: found for name, found in classes.items() if issubclass(found, AccountdError)}
    assert set(tree) <= set(drawn)
    for name, found in tree.items():
        depth = len(found.__mro__) - len(AccountdError.__mro__)
        assert len(drawn[name]) - len(drawn[name].lstrip("├└│─ ")) == 3 * depth, name
        if issubclass(found, RequestError) and found is not RequestError:
            assert str(found.code) in drawn[name]


READERS = ("client", "config", "oauth", "requirements", "foreign_json", "sandbox")
STREET = ("cli", "sandbox", "doctor")
OTHERS = ("accountd.client.errors", "accountd.rpc.pending")


def is_at_home(found: type[BaseException]) -> bool:
    """Return True if an exception is of the tree, or of a kind that the head of `errors` says goes no further."""
    room = found.__module__.split(".")[1]
    if issubclass(found, AccountdError):
        return room == "errors"
    if issubclass(found, OSError):
        return room == "files"
    if issubclass(found, ValueError):
        return room in READERS
    return found.__module__ in OTHERS or room in STREET or found.__name__.startswith("_")


def test_every_exception_of_the_package_is_where_the_head_says() -> None:
    """The tree is whole: nothing that one room raises for another is defined outside of it."""
    names = [found.name for found in pkgutil.walk_packages(accountd.__path__, "accountd.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    found = {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, BaseException) and kind.__module__.startswith("accountd.")
    }
    assert len(found) > 50
    assert not sorted(str(kind) for kind in found if not is_at_home(kind))


def test_a_refusal_carries_its_status() -> None:
    """A caller decides by the status, a person reads the message."""
    error = RemoteRefused("no", 404)
    assert (str(error), error.status) == ("no", 404)


@pytest.mark.parametrize(
    ("status", "text"),
    [(404, "404 Not Found"), (500, "500 Internal Server Error"), (400, "400 Bad Request"), (799, "799"), (0, "0")],
)
def test_a_status_is_worded_as_codex_words_it(status: int, text: str) -> None:
    """The number and its name; the bare number if it has none."""
    assert describe_status(status) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/path"), "No space left on device (os error 28)"),
        (TimeoutError(), "TimeoutError"),
        (OSError("some words"), "OSError"),
        (OSError("Bearer", "canary"), "OSError"),
        (OSError(errno.EIO, "Bearer canary"), "Input/output error (os error 5)"),
        (ssl.SSLError(1, "[SSL] of OpenSSL"), "SSLError"),
        (OSError(999, None), "Unknown error 999 (os error 999)"),
    ],
)
def test_an_os_error_is_worded_as_codex_words_it(error: OSError, text: str) -> None:
    """The system's words and number, without the path; an error without them is known by its class."""
    assert describe_os_error(error) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("can't start new thread"), "no thread can be started"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files (os error 24)"),
        (ImportError("libssl.so.3: cannot open shared object file: Too many open files"), "Too many open files"),
        (ExceptionGroup("a nursery", [ExceptionGroup("another", [MemoryError()])]), "out of memory"),
        (RuntimeError("no more sockets"), None),
        (OSError(errno.EIO, os.strerror(errno.EIO)), None),
        (ImportError("No module named 'httpx'"), None),
        (ExceptionGroup("a nursery", [MemoryError(), ValueError()]), None),
    ],
    ids=repr,
)
def test_a_shortage_is_told_from_a_bug(error: Exception, text: str | None) -> None:
    """Descriptors, memory and threads, alone and through nurseries; whatever else went wrong is none."""
    assert describe_shortage(error) == text
