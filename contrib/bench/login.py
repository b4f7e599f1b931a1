"""Logins with a device code, from the first request to the last notification, and how soon one is cancelled."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from bench.figures import Quantity

if TYPE_CHECKING:
    from bench.figures import Sample
    from bench.process import Server
    from bench.wire import Wire

FIRST_CODE: Final = Quantity("device login: to the code, first of a process", "ms")
CODE: Final = Quantity("device login: to the code", "ms")
COMPLETED: Final = Quantity("device login: approved at once, to its completion", "ms")
CANCELLED: Final = Quantity("cancel: to the answer", "ms")
CANCEL_COMPLETED: Final = Quantity("cancel: to `account/login/completed`", "ms")

_START: Final = b'{"id":1,"method":"account/login/start","params":{"type":"chatgptDeviceCode"}}'
_COMPLETED: Final = "account/login/completed"


def measure(server: Server) -> Sample:
    """Log in twice at a server that has not been asked to before, whose issuer approves the first poll."""
    client = server.connect()
    first = _log_in(client)
    then = _log_in(client)
    client.close()
    return {FIRST_CODE: first[0], CODE: then[0], COMPLETED: then[1]}


def _log_in(client: Wire) -> tuple[float, float]:
    """Give the milliseconds to the code, and to the end."""
    start = time.perf_counter()
    _began(client.call(_START))
    code = time.perf_counter() - start
    outcome = client.await_notification(_COMPLETED)
    if not outcome["success"]:
        raise SystemExit(f"a login failed: {outcome['error']}")
    return code * 1e3, (time.perf_counter() - start) * 1e3


def measure_cancelling(server: Server) -> Sample:
    """Cancel a login at once that waits for a person; the second one of the server."""
    client = server.connect()
    _cancel(client)
    sample = _cancel(client)
    client.close()
    return sample


def _cancel(client: Wire) -> Sample:
    login_id = _began(client.call(_START))
    start = time.perf_counter()
    client.send(json.dumps({"id": 2, "method": "account/login/cancel", "params": {"loginId": login_id}}).encode())
    heard: dict[Quantity, float] = {}
    while len(heard) < 2:  # in whichever order they come
        message = client.hear()
        passed = (time.perf_counter() - start) * 1e3
        if message.get("id") == 2:
            heard[CANCELLED] = passed
        elif message.get("method") == _COMPLETED:
            heard[CANCEL_COMPLETED] = passed
    return heard


def _began(answer: dict[str, object]) -> str:
    result = answer.get("result")
    if not isinstance(result, dict):
        raise SystemExit(f"a login does not begin: {answer.get('error')}")
    return str(result["loginId"])
