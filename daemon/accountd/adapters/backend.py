"""The backend: the ChatGPT API, as far as it knows things about an account (protocol notes 3.2 and 3.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
import trio

from accountd.config import is_loopback
from accountd.errors import RemoteRefused, RemoteUnreachable

if TYPE_CHECKING:
    from accountd.adapters.http import HttpClient
    from accountd.secret import Secret

LOOKUP_TIMEOUT: Final = 15.0
"""Seconds for a workspace look-up, in which a client waits for its `account/read`."""

_ANYWHERE: Final = "NO_CONSTRAINT"
_ROUTING_OVERRIDES: Final = (_ANYWHERE, "us", "us_cr")


class Workspace(msgspec.Struct, frozen=True):
    """What the backend says of the account's workspace. `backend_origin` is a URL without a path."""

    name: str | None
    backend_origin: str
    routing_override: str


class _Entry(msgspec.Struct):
    id: str
    name: str | None = None
    workspace_backend_origin: str | None = None
    account_routing_override: str | None = None


class _AccountsCheck(msgspec.Struct):
    accounts: list[_Entry] = []


class Backend:
    """Requests to one backend. Texts of failures are Codex's, since clients are shown them."""

    def __init__(self, http: HttpClient, url: str) -> None:
        self._http = http
        self.url = url

    async def look_up_workspace(self, access_token: Secret, account_id: str) -> Workspace:
        """Ask for the name and the routing of the workspace. Raises RemoteError."""
        headers = {"Authorization": f"Bearer {access_token.reveal()}", "ChatGPT-Account-Id": account_id}
        try:
            with trio.fail_after(LOOKUP_TIMEOUT):
                answer = await self._http.request("GET", self._url("/accounts/check"), headers=headers)
        except trio.TooSlowError:
            raise RemoteUnreachable("workspace routing discovery timed out") from None
        except RemoteUnreachable as error:
            raise RemoteUnreachable("workspace routing discovery failed") from error
        if answer.status == 401:
            raise RemoteRefused("workspace routing discovery unauthorized (401)", 401)
        if not 200 <= answer.status < 300:
            raise RemoteRefused("workspace routing discovery failed", answer.status)
        return parse_workspace(answer.body, account_id, self.url)

    def _url(self, path: str) -> str:
        """Build a URL in one of the two styles of path that backends have (protocol note 3.8)."""
        return self.url + ("/wham" if "/backend-api" in self.url else "/api/codex") + path


def parse_workspace(body: bytes, account_id: str, backend_url: str) -> Workspace:
    """Find the account's own workspace among those that its person can see. Raises RemoteRefused."""
    try:
        check = msgspec.json.decode(body, type=_AccountsCheck)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RemoteRefused("workspace routing discovery failed", 0) from error
    entries = [entry for entry in check.accounts if entry.id == account_id]
    if not entries:
        raise RemoteRefused("selected workspace missing from routing discovery", 0)
    if len(entries) > 1:
        raise RemoteRefused("duplicate workspace in routing discovery", 0)
    (entry,) = entries
    if entry.workspace_backend_origin is None:
        raise RemoteRefused("workspace routing discovery missing backend origin", 0)
    if entry.account_routing_override not in _ROUTING_OVERRIDES:
        raise RemoteRefused("workspace routing discovery has invalid account routing override", 0)
    anywhere = entry.workspace_backend_origin == _ANYWHERE
    origin = _parse_origin(backend_url if anywhere else entry.workspace_backend_origin, bare=not anywhere)
    return Workspace(entry.name, origin, entry.account_routing_override)


def _parse_origin(url: str, *, bare: bool) -> str:
    """Reduce a URL to its origin: https, or http on loopback, for a sandbox. `bare`: it may have no path."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise RemoteRefused("invalid workspace backend URL", 0) from None
    if bare and (parts.path.strip("/") or parts.query or parts.fragment):
        raise RemoteRefused("workspace routing discovery must return an origin", 0)
    secure = parts.scheme == "https" or (parts.scheme == "http" and host is not None and is_loopback(host))
    if not host or not secure or parts.username is not None:
        raise RemoteRefused("workspace backend must use an HTTPS origin without credentials", 0)
    return f"{parts.scheme}://{parts.netloc}"
