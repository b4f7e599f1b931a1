"""A scripted issuer and backend behind a CONNECT proxy: what a release of Codex takes for the real ones.

A release has the addresses of the real services compiled in. So it is given a proxy on loopback and an authority to
trust, and every host that it asks the proxy for is this one, under a certificate of that authority. Nothing leaves
the machine.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import h11
import trio
import trustme

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    OpenTunnel = Callable[[trio.SocketStream], Awaitable[str | None]]

Json = dict[str, Any]

PENDING_FOR_EVER = 10**6
"""Polls of a device code that nobody approves."""

CHECK = "/backend-api/wham/accounts/check"
BUNDLE = "/backend-api/wham/config/bundle"
SWITCH = "/backend-api/accounts/switch-workspace-token"


class Asked(NamedTuple):
    """One request, as it came."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: str

    def fields(self) -> Any:
        """Read the body, which is JSON or a form."""
        if "json" in self.headers.get("content-type", ""):
            return json.loads(self.body)
        return {name: values[0] for name, values in parse_qs(self.body).items()}


class Issuer:
    """What it answers, for a scenario to set; and what it was asked.

    The person has the workspace of the claims, and `more_workspaces`: by their id, what else is said of them.

    `responses` has queues of answers for a path, each a status and a body: each is given once, the last one for
    ever, and status 0 is the usual answer. `delays` has seconds for a path.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Be as at the start."""
        self.usercode_status = 200
        self.usercode_body: Json | None = None
        self.interval = "0"
        self.pending_polls = 2
        self.pending_status = 403
        self.poll_fail_status: int | None = None
        self.exchange_status = 200
        self.exchange_body: Json | None = None
        self.refresh_status = 200
        self.refresh_body: Json | None = None
        self.revoke_status = 200
        self.api_key_status = 401
        self.lifetime = 3600
        self.claims = {"email": "dev@example.com", "account": "acct-123", "user": "user-123", "plan": "pro"}
        self.more_workspaces: dict[str, Json] = {}
        self.responses: dict[str, list[tuple[int, Json]]] = {}
        self.delays: dict[str, float] = {}
        self.asked: list[Asked] = []
        self._polls: dict[str, int] = {}
        self._given = 0

    def give_tokens(self, **claims: str) -> Json:
        """Make another set of tokens; claims are those of the script where none are named."""
        self._given += 1
        said, now = self.claims | claims, int(time.time())
        payload = {
            "iss": "https://auth.openai.com",
            "sub": "auth0|x",
            "iat": now,
            "exp": now + self.lifetime,
            "email": said["email"],
            "email_verified": True,
            "https://api.openai.com/auth": {
                "chatgpt_account_id": said["account"],
                "chatgpt_plan_type": said["plan"],
                "chatgpt_user_id": said["user"],
                "user_id": said["user"],
            },
            "https://api.openai.com/profile": {"email": said["email"], "email_verified": True},
            "n": self._given,
        }
        return {
            "id_token": render_jwt(payload),
            "access_token": render_jwt(payload | {"aud": ["https://api.openai.com/v1"]}),
            "refresh_token": f"rt-{self._given}",
            "expires_in": self.lifetime,
            "token_type": "Bearer",
        }

    def give_access(self, workspace: str, **claims: str) -> str:
        """Make an access token for a workspace of the person's, with the plan that it has."""
        members = self.more_workspaces.get(workspace, {})
        plan = str(members.get("plan_type", self.claims["plan"]))
        token: str = self.give_tokens(account=workspace, **({"plan": plan} | claims))["access_token"]
        return token

    def answer(self, asked: Asked) -> tuple[int, Json]:
        """Answer one request by the script."""
        self.asked.append(asked)
        if queue := self.responses.get(asked.path):
            status, body = queue.pop(0) if len(queue) > 1 else queue[0]
            if status:
                return status, body
        match asked.path:
            case "/api/accounts/deviceauth/usercode":
                return self._start()
            case "/api/accounts/deviceauth/token":
                return self._poll(asked.fields()["device_auth_id"])
            case "/oauth/token":
                return self._exchange(asked.fields().get("grant_type", ""))
            case "/oauth/revoke":
                return self.revoke_status, {}
            case "/backend-api/wham/usage":
                return 200, self._usage()
            case path if path == CHECK:
                return 200, self._check()
            case path if path == SWITCH:
                return 200, {"access_token": self.give_access(asked.fields()["workspace_id"])}
        return 404, {"error": "not found"}

    def _start(self) -> tuple[int, Json]:
        if self.usercode_status != 200:
            return self.usercode_status, self.usercode_body or {"error": "nope"}
        if self.usercode_body is not None:
            return 200, self.usercode_body
        self._given += 1
        return 200, {
            "device_auth_id": f"dev-{self._given}",
            "user_code": f"CODE-{self._given:05d}",
            "interval": self.interval,
            "expires_at": "2030-01-01T00:00:00Z",
        }

    def _poll(self, device: str) -> tuple[int, Json]:
        self._polls[device] = self._polls.get(device, 0) + 1
        if self.poll_fail_status and self._polls[device] == 1:
            return self.poll_fail_status, {"error": "boom"}
        if self._polls[device] <= self.pending_polls:
            return self.pending_status, {"error": {"code": "deviceauth_authorization_pending"}}
        verifier = "cv-" + "x" * 43
        return 200, {"authorization_code": f"ac-{device}", "code_challenge": "cc", "code_verifier": verifier}

    def _exchange(self, grant: str) -> tuple[int, Json]:
        if grant == "authorization_code":
            return self.exchange_status, self.give_tokens() if self.exchange_body is None else self.exchange_body
        if grant == "refresh_token":
            return self.refresh_status, self.give_tokens() if self.refresh_body is None else self.refresh_body
        if "token-exchange" in grant:
            return self.api_key_status, {"access_token": "sk-exchanged"}
        return 400, {"error": "unsupported_grant_type"}

    def _check(self) -> Json:
        workspaces: dict[str, Json] = {self.claims["account"]: {}} | self.more_workspaces
        entry = {
            "plan_type": self.claims["plan"],
            "name": "Personal",
            "structure": "personal",
            "workspace_backend_origin": "NO_CONSTRAINT",
            "account_routing_override": "NO_CONSTRAINT",
        }
        accounts = [entry | {"id": each} | members for each, members in workspaces.items()]
        ids = [*workspaces]
        return {"accounts": accounts, "account_ordering": ids, "default_account_id": ids[0]}

    def _usage(self) -> Json:
        def window(used: int, minutes: int, left: int) -> Json:
            return {
                "used_percent": used,
                "limit_window_seconds": minutes * 60,
                "reset_after_seconds": left,
                "reset_at": int(time.time()) + left,
            }

        limits = {"primary_window": window(42, 300, 120), "secondary_window": window(5, 10_080, 43_200)}
        return {
            "plan_type": self.claims["plan"],
            "rate_limit": {"allowed": True, "limit_reached": False, **limits},
            "credits": {"has_credits": False, "unlimited": False, "balance": None},
        }


def render_jwt(payload: Json) -> str:
    """Write a JWT that looks signed."""
    parts = [json.dumps({"alg": "RS256", "typ": "JWT"}).encode(), json.dumps(payload).encode(), b"sig"]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Served(NamedTuple):
    """A scripted issuer that is served, and how a program is sent to it."""

    issuer: Issuer
    proxy: str
    ca_file: Path


async def open_tunnel(stream: trio.SocketStream) -> str | None:
    """Take a CONNECT, and give the host that it is for; None for what is none."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = await stream.receive_some()
        if not data:
            return None
        head += bytes(data)
    method, target, *_ = head.decode("latin-1").split()
    if method != "CONNECT":
        await stream.send_all(b"HTTP/1.1 501 Not Implemented\r\n\r\n")
        return None
    await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
    return target.partition(":")[0]


@contextmanager
def serve_issuer(folder: Path, open_tunnel: OpenTunnel = open_tunnel) -> Iterator[Served]:
    """Serve one from a thread, on a free port of loopback, with its authority's certificate in a folder.

    `open_tunnel` is how the proxy before it is asked for a host; it gives None where that fails.
    """
    issuer, authority = Issuer(), trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    proxy = _Proxy(issuer, authority, open_tunnel)
    thread = threading.Thread(target=trio.run, args=(proxy.serve,))
    thread.start()
    assert proxy.ready.wait(10)
    try:
        yield Served(issuer, f"http://127.0.0.1:{proxy.port}", ca_file)
    finally:
        trio.from_thread.run_sync(proxy.stop, trio_token=proxy.token)
        thread.join(10)


class _Proxy:
    """The proxy: whichever host is asked for, the issuer is behind it."""

    def __init__(self, issuer: Issuer, authority: trustme.CA, open_tunnel: OpenTunnel) -> None:
        self.ready = threading.Event()
        self._issuer = issuer
        self._authority = authority
        self._open_tunnel = open_tunnel
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def serve(self) -> None:
        """Serve until `stop` is called, in the loop's thread."""
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]
            self.token, self.stop = trio.lowlevel.current_trio_token(), nursery.cancel_scope.cancel
            nursery.start_soon(trio.serve_listeners, self._accept, [listener])
            self.ready.set()

    async def _accept(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, ssl.SSLError, h11.RemoteProtocolError):  # whoever has gone, has
            host = await self._open_tunnel(stream)
            if host is None:
                return
            async with trio.SSLStream(stream, self._context(host), server_side=True, https_compatible=True) as tls:
                await self._answer_all(tls, host)

    def _context(self, host: str) -> ssl.SSLContext:
        if host not in self._contexts:
            self._contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._authority.issue_cert(host).configure_cert(self._contexts[host])
        return self._contexts[host]

    async def _answer_all(self, stream: trio.abc.Stream, host: str) -> None:
        http = h11.Connection(h11.SERVER)
        while (asked := await _receive(http, stream, host)) is not None:
            await trio.sleep(self._issuer.delays.get(asked.path, 0))
            status, body = self._issuer.answer(asked)
            data = json.dumps(body).encode()
            headers = [("content-type", "application/json"), ("content-length", str(len(data)))]
            head = http.send(h11.Response(status_code=status, headers=headers)) or b""
            rest = (http.send(h11.Data(data=data)) or b"") + (http.send(h11.EndOfMessage()) or b"")
            await stream.send_all(head + rest)
            if http.our_state is h11.MUST_CLOSE:
                return
            http.start_next_cycle()


async def _receive(http: h11.Connection, stream: trio.abc.Stream, host: str) -> Asked | None:
    request: h11.Request | None = None
    body = b""
    while True:
        match http.next_event():
            case h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(65_536)))
            case h11.Request() as request:
                pass
            case h11.Data(data=data):
                body += bytes(data)
            case h11.EndOfMessage() if request is not None:
                headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
                path = urlsplit(request.target.decode()).path
                return Asked(request.method.decode(), host, path, headers, body.decode("utf-8", "replace"))
            case _:
                return None
