"""A client of a `Sandbox` in memory, and a clock that stands still until a test moves it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from accountd.oauth.authorize import render_authorize_url
from accountd.oauth.pkce import make_pkce
from accountd.sandbox import Request, Response, Sandbox
from accountd.secret import Secret

CLIENT_ID = "app_test"
CALLBACK = "http://127.0.0.1:1455/auth/callback"
PKCE = make_pkce()
REDIRECT_URI = "http://127.0.0.1:8000/deviceauth/callback"
DEVICE = "/api/accounts/deviceauth"
ACCOUNTS = "/backend-api/wham/accounts/check"
USAGE = "/backend-api/wham/usage"


def authorize_url(**changes: str | None) -> str:
    """Write an authorize URL as accountd does, with some parameters changed, or without those that are None."""
    url = render_authorize_url(
        "http://127.0.0.1:8000",
        CLIENT_ID,
        redirect_uri=CALLBACK,
        challenge=PKCE.challenge,
        state=Secret("the-state"),
        originator="test_client",
        workspaces=(),
    )
    address, _, query = url.partition("?")
    parameters = {**dict(parse_qsl(query)), **changes}
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{address}?{urlencode(given, quote_via=quote)}"


class Clock:
    """The Unix time, as a test wants it."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.time


class Caller:
    """Sends requests to a sandbox, the way that a client of it would."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def send(self, method: str, path: str, sent: bytes | None = None, /, **headers: str) -> Response:
        """Send a request; an underscore in a header's name stands for a dash."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.sandbox.respond(
            Request(method, path, headers={"host": "127.0.0.1:8000"} | named, body=sent or b"")
        )

    async def get(self, path: str, **headers: str) -> Response:
        """Send a GET."""
        return await self.send("GET", path, None, **headers)

    async def post(self, path: str, value: object, **headers: str) -> Response:
        """Send a POST with JSON."""
        return await self.send("POST", path, msgspec.json.encode(value), content_type="application/json", **headers)

    async def post_form(self, path: str, **fields: str) -> Response:
        """Send a POST with a form."""
        body = urlencode(fields).encode()
        return await self.send("POST", path, body, content_type="application/x-www-form-urlencoded")

    async def open(self, url: str, **headers: str) -> Response:
        """Open the address of a page."""
        parts = urlsplit(url)
        return await self.sandbox.respond(
            Request("GET", parts.path, parts.query, {"host": parts.netloc} | headers, scheme=parts.scheme)
        )

    async def start_login(self) -> dict[str, Any]:
        """Start a device login, and give the answer."""
        return read(await self.post(f"{DEVICE}/usercode", {"client_id": CLIENT_ID}))

    async def poll(self, login: dict[str, Any]) -> Response:
        """Ask if a login is approved."""
        return await self.post(f"{DEVICE}/token", {name: login[name] for name in ("device_auth_id", "user_code")})

    async def exchange(self, approval: dict[str, Any], **changes: str) -> Response:
        """Exchange the code of an approved login, with some fields changed."""
        fields = {
            "grant_type": "authorization_code",
            "code": approval["authorization_code"],
            "redirect_uri": REDIRECT_URI,
            "client_id": CLIENT_ID,
            "code_verifier": approval["code_verifier"],
        }
        return await self.post_form("/oauth/token", **(fields | changes))

    async def approved(self) -> dict[str, Any]:
        """Start a login, approve it, and give what its client then gets."""
        login = await self.start_login()
        self.sandbox.decide(login["user_code"], approve=True)
        return read(await self.poll(login))

    async def log_in(self) -> dict[str, Any]:
        """Go through a whole login, and give its tokens."""
        return read(await self.exchange(await self.approved()))

    async def refresh(self, token: str) -> Response:
        """Use a refresh token."""
        fields = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": token}
        return await self.post("/oauth/token", fields)

    async def usage(self, token: str, **headers: str) -> Response:
        """Use an access token."""
        return await self.get(USAGE, authorization=f"Bearer {token}", **headers)


def read(response: Response, status: int = 200) -> dict[str, Any]:
    """Give the JSON object of an answer that has this status."""
    assert response.status == status, response.body
    value = msgspec.json.decode(response.body)
    assert isinstance(value, dict)
    return value


def error_code(response: Response) -> str:
    """Give the machine-readable code of an error, in whichever of the two forms."""
    error = msgspec.json.decode(response.body)["error"]
    return str(error["code"] if isinstance(error, dict) else error)
