"""Standard input and output as one stream, for a client that started us and speaks through pipes."""

from __future__ import annotations

import os

import trio


def open_stdio() -> trio.StapledStream[trio.lowlevel.FdStream, trio.lowlevel.FdStream]:
    """Return a stream that reads descriptor 0 and writes descriptor 1.

    It has duplicates of both, so closing it leaves the process its own. Until then both are non-blocking,
    which is why nothing but the protocol may be written to standard output.
    """
    return trio.StapledStream(trio.lowlevel.FdStream(os.dup(1)), trio.lowlevel.FdStream(os.dup(0)))
