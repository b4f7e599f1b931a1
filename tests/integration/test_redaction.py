"""An issuer and a backend that repeat what they were sent: a real daemon tells nobody."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, quote

import pytest

from accountd.client.blocking import Client
from fakes.processes import PATIENCE, completion, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CODE, VERIFIER = "ac-canary/5f0c+code", "verifier/canary~5f0c"

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "slashes": lambda text: text.replace("/", "\\/"),
    "url": lambda text: quote(text, safe=""),
    "whole url": lambda text: "".join(f"%{ord(c):02X}" for c in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
}


class Echo(BaseHTTPRequestHandler):
    """An issuer that approves at once, and refuses the exchange with what it was sent, in some form."""

    form: ClassVar[Callable[[str], str]]

    def do_POST(self) -> None:
        """Answer as one that means well, but for the last step."""
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.endswith("/usercode"):
            self._answer(200, json.dumps({"device_auth_id": "d-1", "user_code": "C-1", "interval": "0.1"}))
        elif self.path.endswith("/deviceauth/token"):
            self._answer(200, json.dumps({"authorization_code": CODE, "code_verifier": VERIFIER}))
        else:
            fields = parse_qs(sent)
            words = " and ".join(type(self).form(fields[name][0]) for name in ("code", "code_verifier"))
            self._answer(400, f'{{"error": "invalid_grant", "error_description": "I do not know {words}"}}')

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def echoing(form: str) -> Iterator[str]:
    """Serve such an issuer."""
    handler = type("Handler", (Echo,), {"form": staticmethod(FORMS[form])})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("form", FORMS)
def test_an_issuer_that_repeats_a_code_does_not_have_it_told(form: str, home: Path) -> None:
    """Neither to the clients nor in the log, in whatever form it comes; what else it says is told."""
    with (
        echoing(form) as url,
        running(home, CODEX_APP_SERVER_LOGIN_ISSUER=url) as daemon,
        Client(str(daemon.path), timeout=PATIENCE) as client,
    ):
        login = client.call("account/login/start", {"type": "chatgptDeviceCode"})["loginId"]
        error = completion(client, login)["error"]
        log = daemon.stop()
    assert "400 Bad Request: I do not know ..." in error
    for text in (error, log):
        for secret in (CODE, VERIFIER):
            for write in FORMS.values():
                assert write(secret) not in text
