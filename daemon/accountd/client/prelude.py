"""Binding a connection to an account before its client says anything, as a bridge does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.client.errors import ConnectionLost, read_error
from accountd.protocol.prelude import read_refusal, render_prelude

if TYPE_CHECKING:
    import socket

_LONGEST = 4096


def say_prelude(connection: socket.socket, account: str) -> None:
    """Have a new connection mean an account. Raises CallFailed if there is none such, and ConnectionLost.

    It blocks. Nothing but the answer is read.
    """
    line = b""
    try:
        connection.sendall(render_prelude(account))
        while not line.endswith(b"\n") and len(line) < _LONGEST:
            data = connection.recv(1)
            if not data:
                raise ConnectionLost("the daemon closed the connection")
            line += data
    except OSError as error:
        raise ConnectionLost("the daemon does not answer") from error
    if (refusal := read_refusal(line)) is not None:
        raise read_error(refusal)
