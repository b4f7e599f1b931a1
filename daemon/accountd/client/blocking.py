"""The daemon as an object for programs that block, on the standard library alone: scripts, and what starts often.

One connection, one thread; a connection that is lost stays lost, and another `connect` gets another one. Results
are the protocol's JSON objects, which `results` describes. Any method raises CallFailed with the daemon's words,
CallTimedOut or ConnectionLost. For trio there is `accountd.client`, with the same methods.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from accountd import paths
from accountd.client.blocking_accounts import AccountsConnection
from accountd.client.blocking_connection import ANSWER_TIMEOUT
from accountd.client.errors import CallTimedOut, ClientError, Interrupted, LoginFailed, read_reason
from accountd.client.incoming import Notification

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from accountd.client import results

__all__ = ("BrowserLogin", "Client", "DeviceCodeLogin", "Notification", "connect")

_BEGINNING: Final = 1.0
"""Seconds for a login that is just beginning to be heard of by whoever waits for it no more."""

_PROGRESS: Final = "account/login/progress"
_COMPLETED: Final = "account/login/completed"

LOGIN_TIMEOUT: Final = 20 * 60.0
"""Seconds; more than any login may take."""


def connect(
    socket: Path | str | None = None,
    *,
    name: str = "accountd-client",
    title: str | None = None,
    timeout: float = 10.0,
    start: bool = True,
) -> Client:
    """Connect to the daemon of this environment, or at `socket`; where none listens, start one unless told not to.

    Close what is given back, or use it as a context manager. Raises what Client raises, and ConfigError if this
    environment names no path.
    """
    path = paths.socket_path(os.environ) if socket is None else socket
    return Client(path, name=name, title=title, timeout=timeout, start=start)


class Client(AccountsConnection):
    """A connection with a method for each thing to ask, and logins as blocks."""

    def read_account(self, *, refresh: bool = False, timeout: float = ANSWER_TIMEOUT) -> results.GetAccountResponse:
        """Ask who is logged in. With `refresh`, the token is refreshed first, whether or not it is due."""
        answer = self.call("account/read", {"refreshToken": refresh}, timeout)
        return cast("results.GetAccountResponse", answer)

    def read_token(self, *, min_valid: int = 300) -> results.ReadTokenResponse:
        """Get an access token, or the API key, that is good for at least `min_valid` seconds.

        Raises CallFailed also if nobody is logged in, or no such token can be had. Keep it out of logs.
        """
        answer = self.call("account/token/read", {"minValidSeconds": min_valid}, ANSWER_TIMEOUT)
        return cast("results.ReadTokenResponse", answer)

    def read_auth_status(self, *, timeout: float = ANSWER_TIMEOUT) -> results.GetAuthStatusResponse:
        """Ask how one is logged in, which is known also where `read_account` fails. Gives no token."""
        return cast("results.GetAuthStatusResponse", self.call("getAuthStatus", {}, timeout))

    def read_store(self) -> results.ReadStoreResponse:
        """Ask where the credential is kept."""
        return cast("results.ReadStoreResponse", self.call("account/store/read", {}))

    def read_status(self) -> dict[str, Any]:
        """Ask how the daemon is; see protocol.status.StatusResponse."""
        return self.call("accountd/status", {})

    def open_token_socket(self, path: str) -> dict[str, Any]:
        """Have the daemon hand out tokens, and nothing else, at this path; see protocol.status."""
        return self.call("accountd/tokenSocket/open", {"path": path})

    def close_token_socket(self) -> None:
        """Have it hand out no more tokens there."""
        self.call("accountd/tokenSocket/close", {})

    def logout(self, *, revoke: bool = True, account: str | None = None) -> None:
        """Log out, for every client of the daemon; unless told not to, revoke the login at the issuer.

        Of the account that this connection means, or of the one that is named; no other takes its place.
        """
        named = {"account": account} if account is not None else {}
        self.call("account/logout" if revoke else "account/forget", named, ANSWER_TIMEOUT)

    def read_rate_limits(self) -> results.GetAccountRateLimitsResponse:
        """Ask how much of its limits the account has used."""
        answer = self.call("account/rateLimits/read", {}, ANSWER_TIMEOUT)
        return cast("results.GetAccountRateLimitsResponse", answer)

    def read_usage(self, thread_id: str | None = None) -> results.GetAccountTokenUsageResponse:
        """Ask what the account has used in tokens, or one thread alone."""
        answer = self.call("account/usage/read", {"threadId": thread_id}, ANSWER_TIMEOUT)
        return cast("results.GetAccountTokenUsageResponse", answer)

    def login_device_code(self, wishes: results.LoginWishes | None = None) -> DeviceCodeLogin:
        """Begin a login with a code that is typed into a browser anywhere; `wishes` say what becomes of it.

        Use it as a context manager: leaving the block cancels it. A login that was waiting is replaced. Raises
        CallFailed where codes are not offered, for one.
        """
        started, progress = self._start_login({"type": "chatgptDeviceCode", **_wish(wishes)})
        return DeviceCodeLogin(self, cast("results.DeviceCodeLoginStarted", started), progress)

    def login_browser(self, wishes: results.LoginWishes | None = None) -> BrowserLogin:
        """Begin a login with a browser of this machine, which the caller opens; `wishes` say what becomes of it.

        Use it as a context manager: leaving the block cancels it. A login that was waiting is replaced. Raises
        CallFailed where no port is free, for one.
        """
        started, progress = self._start_login({"type": "chatgpt", **_wish(wishes)})
        return BrowserLogin(self, cast("results.BrowserLoginStarted", started), progress)

    def login_api_key(self, key: str, wishes: results.LoginWishes | None = None) -> None:
        """Log in with an API key, at once. The key is not tried."""
        self.call("account/login/start", {"type": "apiKey", "apiKey": key, **_wish(wishes)}, ANSWER_TIMEOUT)

    def list_logins(self) -> list[results.LoginUnderWay]:
        """Ask which logins are under way, whoever began them."""
        return cast("list[results.LoginUnderWay]", self.call("account/login/list")["logins"])

    def cancel_login(self, login_id: str) -> bool:
        """Cancel a login, whoever began it. True promises that nothing was stored and nothing will be."""
        answer = self.call("account/login/cancel", {"loginId": login_id}, ANSWER_TIMEOUT)
        return bool(answer["status"] == "canceled")

    def _start_login(self, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a login, and give the answer and the first step."""
        asked = self.send("account/login/start", params)
        started: dict[str, Any] | None = None
        try:
            started = self.wait_response(asked, ANSWER_TIMEOUT)
            return started, self.wait_notification(partial(_is_of, started["loginId"]), ANSWER_TIMEOUT).params
        except (CallTimedOut, Interrupted):
            self._abandon_start(asked, started)
            raise

    def _abandon_start(self, asked: int, started: dict[str, Any] | None) -> None:
        """Cancel a login that nobody has been shown.

        So nobody can have approved it, and nothing can be stored. One that is just beginning is cancelled in good
        order; a start that is not even answered ends with this connection.
        """
        interrupt, self.interrupt = self.interrupt, None
        try:
            with suppress(ClientError):
                started = started or self.wait_response(asked, _BEGINNING)
                self.cancel_login(started["loginId"])
        finally:
            self.interrupt = interrupt


def _wish(wishes: results.LoginWishes | None) -> dict[str, Any]:
    return {"accountd": wishes} if wishes else {}


def _is_of(login_id: str, told: Notification) -> bool:
    """Return True for what is told of a login's course."""
    return told.method in (_PROGRESS, _COMPLETED) and told.params.get("loginId") == login_id


class Login:
    """What both kinds have in common; a context manager. Times are Unix seconds."""

    id: str
    """What the protocol calls it by: `Client.cancel_login`, `list_logins` and each notification of it."""

    progress: results.AccountLoginProgress
    """Where the login is, as far as `wait` has heard."""

    def __init__(self, client: Client, login_id: str, progress: dict[str, Any]) -> None:
        self.id = login_id
        self._client = client
        self._cancelled = False
        self._completed: dict[str, Any] | None = None
        self.progress = cast("results.AccountLoginProgress", progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel the login unless `wait` has seen its end; one that cannot be is left to its time."""
        if self._completed is None and not self._cancelled:
            with suppress(ClientError):
                self.cancel()

    @property
    def expires_at(self) -> float:
        """When the daemon gives the login up."""
        return float(self.progress["expiresAt"])

    @property
    def lifetime(self) -> float:
        """For how many seconds, from its start, the person can approve."""
        return self.expires_at - float(self.progress["startedAt"])

    def wait(
        self,
        timeout: float = LOGIN_TIMEOUT,
        progressed: Callable[[results.AccountLoginProgress], None] | None = None,
    ) -> None:
        """Wait until the person is logged in; `progressed` is called with each step on the way.

        Raises LoginFailed, with what to tell the person, also when it was cancelled by anybody; CallTimedOut when
        the time is over, and the login goes on.
        """
        deadline = time.monotonic() + timeout
        while self._completed is None:
            told = self._client.wait_notification(partial(_is_of, self.id), max(0.0, deadline - time.monotonic()))
            if told.method == _COMPLETED:
                self._completed = told.params
            else:
                self.progress = cast("results.AccountLoginProgress", told.params)
                if progressed is not None:
                    progressed(self.progress)
        if not self._completed["success"]:
            raise LoginFailed(self._completed["error"] or "the login failed", read_reason(self._completed))

    def cancel(self) -> bool:
        """Cancel it. True promises that nothing was stored and nothing will be.

        False says that it had ended, or was just being stored: `wait` tells how.
        """
        self._cancelled = self._client.cancel_login(self.id)
        return self._cancelled


class DeviceCodeLogin(Login):
    """Show the person `url` and `code`; any browser on any machine will do."""

    def __init__(self, client: Client, started: results.DeviceCodeLoginStarted, progress: dict[str, Any]) -> None:
        super().__init__(client, started["loginId"], progress)
        self.url = started["verificationUrl"]
        self.code = started["userCode"]


class BrowserLogin(Login):
    """Open `url` in the person's own browser, which has to reach this machine at the end."""

    def __init__(self, client: Client, started: results.BrowserLoginStarted, progress: dict[str, Any]) -> None:
        super().__init__(client, started["loginId"], progress)
        self.url = started["authUrl"]

    def submit_callback(self, url: str) -> None:
        """Hand in the address that the browser ended on, where it could not reach this machine.

        Raises CallFailed, with what to tell the person, for an address that is not this login's; it goes on.
        """
        self._client.call("account/login/submitCallback", {"loginId": self.id, "callbackUrl": url})
