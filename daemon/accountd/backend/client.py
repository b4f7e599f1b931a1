"""The backend: the ChatGPT API, as far as it knows things about an account.

One method a request, asked once; what the answers mean is in `protocol.payloads` and `protocol.rate_limits`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import trio

from accountd.backend.payloads import (
    AccountsPayload,
    ExchangePayload,
    MessagesPayload,
    ProfilePayload,
    SecuritySetupPayload,
    ThreadsPayload,
    order_accounts,
    parse_word,
)
from accountd.backend.rate_limits import ConsumePayload, ResetCreditsPayload, UsagePayload
from accountd.config.urls import is_loopback, split_url
from accountd.errors import RemoteRefused, RemoteTooSlow, RemoteUnreachable, describe_status
from accountd.foreign_json import UNDECODABLE, Undecodable, decode
from accountd.oauth.fields import Uncarried, check_token
from accountd.oauth.tokens import describe_oauth_error, describe_page
from accountd.protocol.account import RoutingOverride
from accountd.protocol.explain import explain_decode_error
from accountd.redaction import quote
from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.storage.base import ChatgptLogin
    from accountd.web.answer import HttpAnswer
    from accountd.web.edge_cookies import EdgeCookies
    from accountd.web.http import HttpClient

LOOKUP_TIMEOUT: Final = 15.0
"""Seconds for a workspace look-up, in which a client waits for its `account/read`."""

MESSAGES_TIMEOUT: Final = 1.0
SECURITY_TIMEOUT: Final = 3.0
RESET_CREDITS_TIMEOUT: Final = 5.0
"""Seconds for what is shown beside something else, which waits for it."""

PROFILE_TIMEOUT: Final = 10.0
CONSUME_TIMEOUT: Final = 10.0
ACCOUNTS_TIMEOUT: Final = 30.0
THREAD_TIMEOUT: Final = 60.0
"""Seconds for what somebody asked to see. All are Codex's; the rest has the HTTP client's limit alone."""

EXCHANGE_TIMEOUT: Final = 15.0
"""Seconds for the exchange of a token, for which every program that shares the credential may have to wait."""

MAX_PAYLOAD: Final = 512 << 10
"""Bytes of an answer that are decoded, which may take thirty times the memory; a profile of years has 200 KB."""

_MAX_TYPE: Final = 100  # characters of a Content-Type that go into an error's text
_EXCHANGE: Final = "/accounts/switch-workspace-token"
_ANYWHERE: Final = "NO_CONSTRAINT"

PayloadT = TypeVar("PayloadT")


class Access(msgspec.Struct, frozen=True):
    """In whose name a request is made. `fedramp`: the workspace is the government's."""

    token: Secret
    account_id: str | None
    fedramp: bool = False

    @staticmethod
    def by(login: ChatgptLogin) -> Access:
        """Make a request in the name of a login."""
        return Access(login.tokens.access_token, login.account_id, login.claims.is_fedramp)


class Workspace(msgspec.Struct, frozen=True):
    """What the backend says of the account's workspace. `backend_origin` is a URL without a path."""

    name: str | None
    backend_origin: str
    routing_override: RoutingOverride


class Backend:
    """Requests to one backend. Texts of failures are Codex's, since clients are shown them, but for the answer.

    Every method may raise RemoteUnreachable, and RemoteRefused, with the words for an error that the answer has.
    """

    def __init__(self, http: HttpClient, url: str) -> None:
        self._http = http
        self._cookies: EdgeCookies | None = None
        self.url = url

    async def look_up_workspace(self, access_token: Secret, account_id: str) -> Workspace:
        """Ask for the name and the routing of the workspace."""
        access = Access(access_token, account_id)
        try:
            answer = await self._request(access, "GET", "/accounts/check", timeout=LOOKUP_TIMEOUT)
        except RemoteTooSlow:
            raise RemoteUnreachable("workspace routing discovery timed out") from None
        except RemoteUnreachable as error:
            raise RemoteUnreachable("workspace routing discovery failed") from error
        except RemoteRefused as error:
            reason = "unauthorized (401)" if error.status == 401 else "failed"
            raise RemoteRefused(f"workspace routing discovery {reason}", error.status) from error
        return parse_workspace(answer.body, account_id, self.url)

    async def read_accounts(self, access: Access) -> AccountsPayload:
        """Ask for all workspaces of the account's person."""
        answer = await self._request(access, "GET", "/accounts/check", timeout=ACCOUNTS_TIMEOUT)
        return self._decode(answer, "/accounts/check", AccountsPayload)

    async def exchange_token(self, access_token: Secret, account_id: str, originator: str | None = None) -> Secret:
        """Exchange an access token for one of another workspace's, which is not looked at. It stays good itself.

        What else is in the answer is not for us. `originator` is the client that asks for it. Raises RemoteRefused
        with the peer's words, whose status is 0 for an answer without a token.
        """
        headers = {"originator": originator} if originator is not None else {}
        body = {"workspace_id": account_id}
        try:
            answer = await self._request(
                Access(access_token, None), "POST", _EXCHANGE, headers=headers, json=body, timeout=EXCHANGE_TIMEOUT
            )
        except RemoteRefused as error:
            words = f"Workspace switch was rejected (HTTP {describe_status(error.status)})"
            raise RemoteRefused(words, error.status, is_page=error.is_page) from error
        try:
            token = Secret(decode(answer.body, ExchangePayload, MAX_PAYLOAD).access_token)
            check_token("the access token", token)
        except Undecodable:
            raise RemoteRefused("error decoding response body", 0) from None
        except Uncarried as error:
            raise RemoteRefused(f"what the backend gave cannot be used: {error}", 0) from None
        return token

    async def read_usage(self, access: Access, *, luna_reserve: bool = False) -> UsagePayload:
        """Ask how much of the rate limits is used. `luna_reserve`: the client knows how to go on with that one."""
        headers = {"X-OpenAI-Codex-Luna-Reserve": "1"} if luna_reserve else {}
        answer = await self._request(access, "GET", "/usage", headers=headers)
        return self._decode(answer, "/usage", UsagePayload)

    async def read_reset_credits(self, access: Access) -> ResetCreditsPayload:
        """Ask for the credits with which rate limits can be reset."""
        path = "/rate-limit-reset-credits"
        answer = await self._request(access, "GET", path, timeout=RESET_CREDITS_TIMEOUT)
        return self._decode(answer, path, ResetCreditsPayload)

    async def consume_reset_credit(self, access: Access, key: str, credit_id: str | None) -> ConsumePayload:
        """Spend a reset credit, or the next one there is; with the same key again, the same one again."""
        path = "/rate-limit-reset-credits/consume"
        body = {"redeem_request_id": key} | ({"credit_id": credit_id} if credit_id is not None else {})
        answer = await self._request(access, "POST", path, json=body, timeout=CONSUME_TIMEOUT)
        return self._decode(answer, path, ConsumePayload)

    async def read_profile(self, access: Access) -> ProfilePayload:
        """Ask for the account's records and totals."""
        answer = await self._request(access, "GET", "/profiles/me", timeout=PROFILE_TIMEOUT)
        return self._decode(answer, "/profiles/me", ProfilePayload)

    async def read_thread_usage(self, access: Access, thread_id: str) -> ThreadsPayload | None:
        """Ask what a thread has cost; None if this account is not told."""
        path = "/usage/thread_usage/query"
        body = {"thread_ids": [thread_id]}
        try:
            answer = await self._request(access, "POST", path, json=body, timeout=THREAD_TIMEOUT)
        except RemoteRefused as error:
            if error.status in {403, 404}:
                return None
            raise
        try:
            return self._decode(answer, path, ThreadsPayload)
        except RemoteRefused as error:
            raise RemoteRefused("Invalid thread usage response.", 0) from error

    async def read_messages(self, access: Access) -> MessagesPayload | None:
        """Ask for the workspace's messages; None if the backend has no such thing."""
        path, headers = "/workspace-messages", {"Cache-Control": "no-store"}
        try:
            answer = await self._request(access, "GET", path, headers=headers, timeout=MESSAGES_TIMEOUT)
        except RemoteRefused as error:
            if error.status == 404:
                return None
            raise
        return self._decode(answer, path, MessagesPayload)

    async def send_nudge(self, access: Access, credit_type: str) -> bool:
        """Have the workspace's owner asked for more by email; False if that was done a short while ago."""
        body = {"credit_type": credit_type}
        try:
            await self._request(access, "POST", "/accounts/send_add_credits_nudge_email", json=body)
        except RemoteRefused as error:
            if error.status == 429:
                return False
            raise
        return True

    async def read_security_setup(self, access: Access) -> SecuritySetupPayload:
        """Ask whether there is something to remind the person of. This path has one style on every backend."""
        path = "/wham/security-setup"
        answer = await self._request(access, "GET", path, timeout=SECURITY_TIMEOUT)
        return self._decode(answer, path, SecuritySetupPayload)

    async def read_config_bundle(self, access_token: Secret, account_id: str | None) -> bytes:
        """Ask what the organisation requires, as it is sent. Bound it in time: this method does not."""
        return (await self._request(Access(access_token, account_id), "GET", "/config/bundle")).body

    async def _request(
        self,
        access: Access,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
        timeout: float = float("inf"),
    ) -> HttpAnswer:
        """Ask once. Only an answer that is a success comes back."""
        url = self._url(path)
        sent = {"Authorization": f"Bearer {access.token.reveal()}", **(headers or {})}
        if access.account_id is not None:
            sent["ChatGPT-Account-Id"] = access.account_id
        if access.fedramp:
            sent["X-OpenAI-Fedramp"] = "true"
        if self._cookies is not None and (cookies := self._cookies.render(url, access.token)):
            sent["Cookie"] = cookies
        try:
            with trio.fail_after(timeout):
                answer = await self._http.request(method, url, headers=sent, json=json)
        except trio.TooSlowError:
            raise RemoteTooSlow(f"{method} {url} was not answered in {timeout:.0f} s") from None
        if answer.set_cookies:
            self._keep_cookies(url, access, answer)
        if not 200 <= answer.status < 300:
            kind, words = quote(answer.content_type, _MAX_TYPE), describe_oauth_error(answer.body)
            text = f"{method} {url} failed: {describe_status(answer.status)}; content-type={kind}; error={words}"
            raise RemoteRefused(text, answer.status, is_page=describe_page(answer.body) is not None)
        return answer

    def _decode(self, answer: HttpAnswer, path: str, wanted: type[PayloadT]) -> PayloadT:
        if len(answer.body) > MAX_PAYLOAD:
            raise RemoteRefused(f"Decode error for {self._url(path)}: larger than {MAX_PAYLOAD} bytes", 0)
        try:
            return msgspec.json.decode(answer.body, type=wanted)
        except UNDECODABLE as error:
            kind = quote(answer.content_type, _MAX_TYPE)
            text = f"Decode error for {self._url(path)}: {explain_decode_error(error)}; content-type={kind}"
            raise RemoteRefused(text, 0) from None  # the cause may quote the answer

    def _keep_cookies(self, url: str, access: Access, answer: HttpAnswer) -> None:
        if self._cookies is None:
            from accountd.web.edge_cookies import EdgeCookies

            self._cookies = EdgeCookies()
        self._cookies.take(url, access.token, answer.set_cookies)

    def _url(self, path: str) -> str:
        """Build a URL in one of the two styles of path: ChatGPT's, under `/backend-api`, and that of others."""
        if path.startswith("/wham/") or path == _EXCHANGE:
            return self.url + path
        return self.url + ("/wham" if "/backend-api" in self.url else "/api/codex") + path


def parse_workspace(body: bytes, account_id: str, backend_url: str) -> Workspace:
    """Find the account's own workspace among those that its person can see. Raises RemoteRefused."""
    try:
        payload = decode(body, AccountsPayload, MAX_PAYLOAD)
    except Undecodable:
        raise RemoteRefused("workspace routing discovery failed", 0) from None
    entries = [entry for found_id, entry in order_accounts(payload) if found_id == account_id]
    if not entries:
        raise RemoteRefused("selected workspace missing from routing discovery", 0)
    if len(entries) > 1:
        raise RemoteRefused("duplicate workspace in routing discovery", 0)
    (entry,) = entries
    if entry.workspace_backend_origin is None:
        raise RemoteRefused("workspace routing discovery missing backend origin", 0)
    override: RoutingOverride | None = parse_word(entry.account_routing_override, RoutingOverride, None)
    if override is None:
        raise RemoteRefused("workspace routing discovery has invalid account routing override", 0)
    anywhere = entry.workspace_backend_origin == _ANYWHERE
    origin = _parse_origin(backend_url if anywhere else entry.workspace_backend_origin, bare=not anywhere)
    return Workspace(entry.name, origin, override)


def _parse_origin(url: str, *, bare: bool) -> str:
    """Reduce a URL to its origin: https, or http on loopback, for a sandbox. `bare`: it may have no path."""
    try:
        parts = split_url(url)
        host = parts.hostname
    except ValueError:
        raise RemoteRefused("invalid workspace backend URL", 0) from None
    if bare and (parts.path.strip("/") or parts.query or parts.fragment):
        raise RemoteRefused("workspace routing discovery must return an origin", 0)
    secure = parts.scheme == "https" or (parts.scheme == "http" and host is not None and is_loopback(host))
    if not host or not secure or parts.username is not None:
        raise RemoteRefused("workspace backend must use an HTTPS origin without credentials", 0)
    return f"{parts.scheme}://{parts.netloc}"
