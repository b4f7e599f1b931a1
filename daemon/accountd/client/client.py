"""The daemon as an object, for programs on trio: a method for each thing to ask, and logins as blocks.

A connection that is lost is opened again when something is asked for, or followed; what was under way on it
fails. Any method raises DaemonUnreachable when there is no daemon, ConnectionLost when there is none any more,
CallFailed with the daemon's own words, and AnswerUnknown for an answer of another version's. Any may be cancelled;
what the daemon was asked to do goes on then.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet

import msgspec
import trio

from accountd.client.connection import Connection
from accountd.client.errors import AnswerUnknown, CallTimedOut, ClientError, ConnectionLost, NothingListens
from accountd.client.logins import BrowserLogin, DeviceCodeLogin, Login
from accountd.client.notifications import Gap, Notifications, parse_notification
from accountd.foreign_json import UNDECODABLE
from accountd.protocol import account as wire
from accountd.protocol import usage
from accountd.protocol.explain import explain_decode_error
from accountd.protocol.status import (
    AppServerStatus,
    CloseTokenSocketResponse,
    OpenTokenSocketResponse,
    ReportAppServerResponse,
    StatusResponse,
    TokenSocketStatus,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from accountd.client.notifications import Notification

    OpenStream = Callable[[bool], Awaitable[trio.abc.Stream]]

ResultT = TypeVar("ResultT")
LoginT = TypeVar("LoginT", bound=Login)

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for what listens on the socket to answer as a daemon does."""

CANCEL_TIMEOUT: Final = 5.0
"""Seconds that leaving a login's block may take to cancel it."""

RETRY_DELAYS: Final = (0.1, 5.0)
"""Seconds between two looks for a daemon that has gone, at first and at last; nobody tells of one that comes."""


class Client:
    """Made by `connect`. `server` is what the daemon said of itself when it was connected to last."""

    server: wire.InitializeResponse

    def __init__(
        self,
        path: Path,
        open_stream: OpenStream,
        introduction: Mapping[str, object],
        *,
        connections: trio.Nursery,
        endings: trio.Nursery,
        start: bool,
        keepalive: float | None = None,
    ) -> None:
        self.path = path
        self._connections = connections
        self._endings = endings
        self._open_stream = open_stream
        self._introduction = introduction
        self._start = start
        self._keepalive = keepalive
        self._connecting = trio.Lock()
        self._connection: Connection | None = None
        self._logins: dict[str, Login] = {}
        self._followers: WeakSet[Notifications] = WeakSet()

    # who is logged in

    async def read_account(self, *, refresh: bool = False, account: str | None = None) -> wire.GetAccountResponse:
        """Ask who is logged in. With `refresh`, the token is refreshed first, whether or not it is due.

        `account` is the account that is meant, by any of its names; else the connection's.
        """
        params = {"refreshToken": refresh} | _of(account)
        return await self._call("account/read", params, wire.GetAccountResponse)

    async def read_token(self, *, min_valid: int = 300, account: str | None = None) -> wire.ReadTokenResponse:
        """Get an access token, or the API key, that is good for at least `min_valid` seconds.

        Raises CallFailed also if nobody is logged in, or no such token can be had. Keep it out of logs. `account`
        is as in `read_account`.
        """
        params = {"minValidSeconds": min_valid} | _of(account)
        return await self._call("account/token/read", params, wire.ReadTokenResponse)

    async def read_auth_status(self) -> wire.GetAuthStatusResponse:
        """Ask how one is logged in, which is known also where `read_account` fails. Gives no token."""
        return await self._call("getAuthStatus", {}, wire.GetAuthStatusResponse)

    async def read_store(self) -> wire.ReadStoreResponse:
        """Ask where the credential is kept."""
        return await self._call("account/store/read", {}, wire.ReadStoreResponse)

    async def read_status(self) -> StatusResponse:
        """Ask how the daemon is."""
        return await self._call("accountd/status", {}, StatusResponse)

    async def report_app_server(self, report: AppServerStatus) -> None:
        """Say what an app-server is, for `accountd/status`, until it says something else or the connection ends."""
        await self._call("accountd/appServer/report", msgspec.to_builtins(report), ReportAppServerResponse)

    async def open_token_socket(self, path: Path | str) -> TokenSocketStatus:
        """Have the daemon hand out tokens, and nothing else, at this path, which is absolute."""
        answer = await self._call("accountd/tokenSocket/open", {"path": str(path)}, OpenTokenSocketResponse)
        return answer.token_socket

    async def close_token_socket(self) -> None:
        """Have it hand out no more tokens there."""
        await self._call("accountd/tokenSocket/close", {}, CloseTokenSocketResponse)

    async def logout(self, *, revoke: bool = True) -> None:
        """Log out, for every client of the daemon; unless told not to, revoke the login at the issuer."""
        await self._call("account/logout" if revoke else "account/forget", {}, wire.LogoutAccountResponse)

    # limits and usage

    async def read_rate_limits(self) -> usage.GetAccountRateLimitsResponse:
        """Ask how much of its limits the account has used."""
        return await self._call("account/rateLimits/read", {}, usage.GetAccountRateLimitsResponse)

    async def read_usage(self, thread_id: str | None = None) -> usage.GetAccountTokenUsageResponse:
        """Ask what the account has used in tokens, or one thread alone."""
        params = {"threadId": thread_id}
        return await self._call("account/usage/read", params, usage.GetAccountTokenUsageResponse)

    # logging in

    @asynccontextmanager
    async def login_device_code(self) -> AsyncIterator[DeviceCodeLogin]:
        """Begin a login with a code that is typed into a browser anywhere. Leaving the block cancels it.

        A login that was waiting is replaced. Raises CallFailed where codes are not offered, for one.
        """
        params = {"type": "chatgptDeviceCode"}

        def make(started: msgspec.Raw) -> DeviceCodeLogin:
            return DeviceCodeLogin(_parse(started, wire.DeviceCodeLoginStarted), self.cancel_login)

        async with self._login(params, make) as login:
            yield login

    @asynccontextmanager
    async def login_browser(self) -> AsyncIterator[BrowserLogin]:
        """Begin a login with a browser of this machine, which the caller opens. Leaving the block cancels it.

        A login that was waiting is replaced. Raises CallFailed where no port is free, for one.
        """

        def make(started: msgspec.Raw) -> BrowserLogin:
            return BrowserLogin(_parse(started, wire.BrowserLoginStarted), self.cancel_login, self._submit)

        async with self._login({"type": "chatgpt"}, make) as login:
            yield login

    async def login_api_key(self, key: str) -> None:
        """Log in with an API key, at once. The key is not tried."""
        await self._call("account/login/start", {"type": "apiKey", "apiKey": key}, wire.ApiKeyLoginDone)

    async def list_logins(self) -> tuple[wire.LoginUnderWay, ...]:
        """Ask which logins are under way, whoever began them."""
        return (await self._call("account/login/list", {}, wire.ListLoginsResponse)).logins

    async def cancel_login(self, login_id: str) -> bool:
        """Cancel a login, whoever began it. True promises that nothing was stored and nothing will be."""
        params = {"loginId": login_id}
        answer = await self._call("account/login/cancel", params, wire.CancelLoginAccountResponse)
        return answer.status == "canceled"

    # everything else

    @property
    def is_connected(self) -> bool:
        """Return True if there is a connection, as far as is known."""
        return self._connection is not None and self._connection.lost is None

    async def ensure_connected(self) -> None:
        """Connect if there is no connection; whatever needs one does so by itself."""
        await self._connected(start=self._start)

    def notifications(self) -> Notifications:
        """Follow what the daemon says from now on, with `async for`, across restarts of the daemon.

        Where something may have been missed there is a Gap. A daemon that has gone is waited for, not started.
        Raises DaemonUnreachable if the socket is not to be used, as when another person's daemon took it.
        """
        follower = Notifications(self._wait_connected)
        self._followers.add(follower)
        return follower

    async def call(self, method: str, params: Mapping[str, object] | None = None) -> Any:
        """Ask for anything that the protocol has, and give the result as it came from its JSON."""
        return await self._call(method, params or {}, Any)

    async def _call(self, method: str, params: Mapping[str, object], result: type[ResultT]) -> ResultT:
        connection = await self._connected(start=self._start)
        return _parse(await connection.request(method, params), result)

    @asynccontextmanager
    async def _login(
        self, params: Mapping[str, object], make: Callable[[msgspec.Raw], LoginT]
    ) -> AsyncIterator[LoginT]:
        """Live a login: its start, the block, and its cancellation unless it has ended."""
        begun: list[LoginT] = []
        is_left = False

        def begin(started: msgspec.Raw) -> None:
            try:
                login = make(started)
            except AnswerUnknown:
                return  # the reader has no use for it; told below
            self._logins[login.id] = login  # before the reader comes to what is said of it
            if is_left:  # it was cancelled before it had begun
                self._endings.start_soon(self._end, login)
            else:
                begun.append(login)

        connection = await self._connected(start=self._start)
        try:
            started = await connection.request("account/login/start", params, seen=begin)
            [login] = begun or [make(started)]
            await login.wait_begun()
            yield login
        finally:
            is_left = True
            for login in begun:
                await self._end(login)

    async def _end(self, login: Login) -> None:
        """Cancel a login unless it has ended; one that cannot be is left to its time."""
        if not login.has_ended:
            with trio.move_on_after(CANCEL_TIMEOUT, shield=True), suppress(ClientError):
                await login.cancel()
        del self._logins[login.id]

    async def _submit(self, login_id: str, url: str) -> None:
        params = {"loginId": login_id, "callbackUrl": url}
        await self._call("account/login/submitCallback", params, wire.SubmitCallbackResponse)

    async def _connected(self, *, start: bool) -> Connection:
        """Return the connection, or another one where it was lost."""
        async with self._connecting:
            if self._connection is None or self._connection.lost is not None:
                self._connection = await self._open(start=start)
                self._tell(Gap())
            return self._connection

    async def _wait_connected(self) -> None:
        """Wait until there is a connection, without starting a daemon for it."""
        delay, longest = RETRY_DELAYS
        while True:
            try:
                await self._connected(start=False)
            except (NothingListens, ConnectionLost, CallTimedOut):
                await trio.sleep(delay)
                delay = min(2 * delay, longest)
            else:
                return

    async def _open(self, *, start: bool) -> Connection:
        """Open a connection and introduce this client on it."""
        connection = Connection(await self._open_stream(start), self.path, self._hear)
        await self._connections.start(self._live, connection)
        is_introduced = False
        try:
            with trio.move_on_after(CONNECT_TIMEOUT):
                answer = await connection.request("initialize", self._introduction)
                self.server = _parse(answer, wire.InitializeResponse)
                connection.notify("initialized")
                is_introduced = True
                if self._keepalive is not None:
                    self._connections.start_soon(connection.keep_alive, self._keepalive)
        finally:
            if not is_introduced:
                connection.close()
        if not is_introduced:
            raise CallTimedOut(f"the daemon at {self.path} did not answer within {CONNECT_TIMEOUT:g} seconds")
        return connection

    async def _live(self, connection: Connection, task_status: trio.TaskStatus[None]) -> None:
        """Live a connection to its end, and tell those who count on it."""
        await connection.run(task_status)
        if connection.lost is not None:
            for login in self._logins.values():
                login.hear(connection.lost)
        for follower in self._followers:
            follower.wake()

    def _hear(self, method: str, params: msgspec.Raw) -> None:
        notification = parse_notification(method, params)
        if notification is None:
            return
        if isinstance(notification, wire.AccountLoginProgress | wire.AccountLoginCompleted):
            login = self._logins.get(notification.login_id or "")
            if login is not None:
                login.hear(notification)
        self._tell(notification)

    def _tell(self, notification: Notification) -> None:
        for follower in self._followers:
            follower.put(notification)


def _parse(result: msgspec.Raw, wanted: type[ResultT]) -> ResultT:
    try:
        return msgspec.json.decode(result, type=wanted)
    except UNDECODABLE as error:
        raise AnswerUnknown(
            f"the daemon answered with what this version does not know: {explain_decode_error(error)}"
        ) from None


def _of(account: str | None) -> dict[str, object]:
    return {"account": account} if account is not None else {}
