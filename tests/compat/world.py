"""What a scenario has to do with: a server on a home of its own, its clients, and the record of what is seen.

In a record, what differs from run to run has a mask: ids, times and tokens. Everything else is compared exactly, so
that a member too many or too few is a difference.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from compat.clients import Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from compat.clients import Framing, Message
    from compat.issuer import Issuer

Seen = list[Any]

NOTICE = 0.5
"""Seconds in which a server that watches its files has noticed a change."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_TIMES = frozenset({"emittedAtMs", "last_refresh", "resetsAt", "lastUsedAt"})
_OWN = frozenset({"codexHome", "userAgent", "login_owner_id", "code_verifier"})


class World:
    """The world of one scenario."""

    def __init__(self, home: Path, socket: Path, framing: Framing, issuer: Issuer) -> None:
        self.home = home
        self.issuer = issuer
        self.seen: Seen = []
        self._socket = socket
        self._framing = framing
        self._clients: list[Client] = []
        self._uuids: dict[str, str] = {}

    def client(self, *, initialize: bool = True, capabilities: Mapping[str, object] | None = None) -> Client:
        """Connect another client."""
        client = Client(self._framing, self._socket, initialize=initialize, capabilities=capabilities)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Hang up on all clients."""
        for client in self._clients:
            client.close()

    def see(self, fact: Any, *, up_to: str | None = None) -> None:
        """Record a fact, of an error's text no more than `up_to`: what follows lists what a release knows."""
        match fact:
            case {"error": {"message": str(text)} as error} if up_to is not None and up_to in text:
                fact = {**fact, "error": {**error, "message": text.partition(up_to)[0] + up_to + "…"}}
        self.seen.append(self._mask(fact))

    def see_all(self, *clients: Client, in_any_order: bool = False) -> None:
        """Record what each client hears until it is quiet."""
        for client in clients:
            heard = self._mask(client.drain())
            self.seen.append(sorted(heard, key=json.dumps) if in_any_order else heard)

    def see_auth_file(self) -> None:
        """Record what is in auth.json, without what is secret or new each time."""
        path = self.home / "auth.json"
        if not path.exists():
            self.seen.append({"auth.json": None})
            return
        stored = json.loads(path.read_text())
        tokens = stored.get("tokens") or {}
        facts = {
            "mode": oct(path.stat().st_mode & 0o777),
            "auth_mode": stored.get("auth_mode"),
            "api_key": stored.get("OPENAI_API_KEY"),
            "tokens": sorted(tokens.keys() - {"login_owner_id"}),
            "account_id": tokens.get("account_id"),
            "refresh_token": tokens.get("refresh_token"),
            "last_refresh": "last_refresh" in stored,
        }
        self.seen.append({"auth.json": facts})

    def see_requests(self, *prefixes: str, headers: Iterable[str] = ()) -> None:
        """Record what the issuer and the backend were asked below some paths."""
        facts = [
            {
                "request": f"{asked.method} https://{asked.host}{asked.path}",
                "type": asked.headers.get("content-type", "").partition(";")[0],
                "body": asked.fields(),
                **{name: asked.headers.get(name) for name in headers},
            }
            for asked in self.issuer.asked
            if asked.path.startswith(prefixes)
        ]
        self.seen.append(self._mask(facts))

    def write(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Put a file into the server's home, whole and at once, as programs do that share one."""
        path = self.home / f"{name}.new"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(0o600)
        path.replace(self.home / name)

    def change(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Do so while the server runs, and leave it a moment to notice."""
        self.write(name, content)
        time.sleep(NOTICE)

    def log_in(self, client: Client) -> None:
        """Log in with a device code that is approved at once, and record nothing of it."""
        self.issuer.pending_polls = 0
        client.call("account/login/start", {"type": "chatgptDeviceCode"})
        client.until("account/login/completed")
        client.drain()

    def _mask(self, value: Any, key: str = "") -> Any:
        match value:
            case dict():
                return {name: self._mask(member, name) for name, member in sorted(value.items())}
            case list():
                return [self._mask(element) for element in value]
            case None:
                return None
            case _ if key in _TIMES or key in _OWN:
                return f"<{key}>"
            case str():
                return _UUID.sub(self._number, _JWT.sub("<jwt>", value))
        return value

    def _number(self, uuid: re.Match[str]) -> str:
        return self._uuids.setdefault(uuid[0], f"<uuid-{len(self._uuids) + 1}>")


def asks(message: Message) -> dict[str, Any]:
    """Give a result, of which a scenario goes on with a part."""
    result: dict[str, Any] = message["result"]
    return result
