"""What a verb waits for, said to a person who has looked at nothing for a second; and what goes on after Ctrl-C."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from accountd.cli.terminal import complain

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 1.0
"""Seconds of silence."""


@contextmanager
def waiting(what: str, *, goes_on: str | None = None) -> Iterator[None]:
    """Say what the block waits for, if it takes long and a terminal is there to say it on.

    `goes_on` is said where Ctrl-C leaves the block: what the daemon does all the same.
    """
    try:
        with _timed(what):
            yield
    except KeyboardInterrupt:
        if goes_on is not None:
            complain(goes_on)
        raise


@contextmanager
def _timed(what: str) -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    from threading import Timer  # which most verbs have no use for

    timer = Timer(PATIENCE, complain, [f"waiting for {what}"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
