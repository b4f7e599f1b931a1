"""What is said of a failure that nobody foresaw: of which class it is and where it arose, and nothing else.

The text of an exception that others wrote may quote whatever it failed at: a header, a URL, a line of a file, and
so a token. So neither a log nor a client is ever told it. The places are of our own code, and enough to look there.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from accountd.errors import AccountdError, describe_shortage
from accountd.installation import INSTALLATION

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

INTERNAL_ERROR: Final = "internal error; the log of accountd says more"
"""What a client is told, who can do nothing about it."""

_PACKAGE: Final = __file__.removesuffix("unforeseen.py")


def report(log: logging.Logger, what: str, error: BaseException) -> str:
    """Log that something failed as nobody foresaw, and give the words for a client that waits for it.

    A shortage is told as such, in both. With debugging, the log has the way to the failure as well. Raises
    nothing, so that it may stand in a last line of defence.
    """
    words = INTERNAL_ERROR
    with suppress(Exception):  # a word about a failure must not be the next one: memory may be short
        words = explain(error)
        if (shortage := describe_shortage(error)) is not None:
            log.error("%s failed for want of room: %s", what, shortage)
        else:
            log.error("%s failed in a way that was not foreseen: %s", what, describe_unforeseen(error))
            log.debug("%s failed on this way: %s", what, describe_way(error))
    return words


def explain(error: BaseException) -> str:
    """Return the words for a client that waits for what has failed."""
    shortage = describe_shortage(error)
    if shortage is not None:
        return f"accountd has no room for this now: {shortage}"
    return INSTALLATION.describe_change() or INTERNAL_ERROR


def explain_end(error: BaseException) -> str:
    """Return the words for a person whose program has ended by a failure: its own, if it is one of ours."""
    first = find_first(error)
    if isinstance(first, AccountdError):
        return str(first)
    if (shortage := describe_shortage(first)) is not None:
        return f"there is no room for this now: {shortage}"
    return (
        f"ended by a failure that nobody foresaw: {describe_unforeseen(first)}; "
        "if `accountd doctor` shows no cause, it is a bug: please report this line"
    )


def describe_unforeseen(error: BaseException) -> str:
    """Name the class of a failure, and where in this package it arose: `ValueError at hub.py:46 (publish)`.

    Of a group, that is the first of what is in it.
    """
    first = find_first(error)
    kind = type(first)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    places = list(_places(first))
    ours = [place for place in places if place.startswith(_PACKAGE)]
    return f"{name} at {(ours or places or ['an unknown place'])[-1].removeprefix(_PACKAGE)}"


def describe_way(error: BaseException) -> str:
    """List the places that a failure came through, the outermost first."""
    return ", ".join(place.removeprefix(_PACKAGE) for place in _places(find_first(error)))


def find_first(error: BaseException) -> BaseException:
    """Take a failure out of the groups that nurseries made of it: the first, where there are several."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _places(error: BaseException) -> Iterator[str]:
    """List where a failure came through, outermost first."""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        yield f"{code.co_filename}:{trace.tb_lineno} ({code.co_name})"
        trace = trace.tb_next
