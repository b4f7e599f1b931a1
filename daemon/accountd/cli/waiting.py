"""What a verb waits for, said to a person who has looked at nothing for a second."""

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
def waiting(what: str) -> Iterator[None]:
    """Say what the block waits for, if it takes long and a terminal is there to say it on."""
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
