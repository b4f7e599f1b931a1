"""The device-code login: the person types a short code into a browser on any machine, and we ask until they have.

What the answers mean, and when to ask again, is in `oauth.device`; this module does the asking.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from accountd.errors import (
    DeviceCodesDisabled,
    InvalidRequest,
    LoginFailed,
    RemoteError,
    RemoteRefused,
    RemoteUnreachable,
    RequestFailed,
)
from accountd.login.flow import Granted
from accountd.oauth.device import LIFETIME, DeviceCodePolling
from accountd.protocol.account import DeviceCodeLoginStarted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.errors import AccountdError
    from accountd.login.flow import Retrying
    from accountd.oauth.device import Approval, DeviceCode
    from accountd.web.issuer import Issuer

_log = logging.getLogger(__name__)


class DeviceCodeFlow:
    """A Flow. `open` asks the issuer for a code."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    @asynccontextmanager
    async def open(self) -> AsyncIterator[DeviceCodeAttempt]:
        """See Flow.open. DeviceCodesDisabled where the issuer does not offer the flow, else RequestFailed."""
        try:
            code = await self._issuer.request_device_code()
        except RemoteError as error:
            if isinstance(error, RemoteRefused) and error.status == 404:
                raise DeviceCodesDisabled(str(error)) from error
            raise RequestFailed(f"failed to request device code: {error}") from error
        yield DeviceCodeAttempt(self._issuer, code)


class DeviceCodeAttempt:
    """An Attempt that has its code."""

    lifetime = LIFETIME

    def __init__(self, issuer: Issuer, code: DeviceCode) -> None:
        self._issuer = issuer
        self._code = code

    def started(self, login_id: str) -> DeviceCodeLoginStarted:
        """See Attempt.started."""
        return DeviceCodeLoginStarted(login_id, self._issuer.verification_url, self._code.user_code)

    async def wait_approval(self, retrying: Retrying) -> Approval:
        """See Attempt.wait_approval. An issuer in trouble is waited for, until the code expires."""
        polling = DeviceCodePolling(self._code, trio.current_time())
        while True:
            await trio.sleep(polling.delay(trio.current_time()))
            before, approval = polling.retries, None
            try:
                answer = await self._issuer.poll_device_code(self._code)
            except RemoteUnreachable as error:
                polling.no_answer(str(error))
            else:
                approval = polling.answer(answer.status, answer.body)
            if polling.trouble is not None:
                _log.warning("nothing is known of the approval: %s", polling.trouble)
            if approval is not None:
                return approval
            if polling.retries != before:
                retrying(polling.retries, polling.trouble)

    async def exchange(self, approval: Approval) -> Granted:
        """See Attempt.exchange. The redirect URI is the issuer's own, where no browser ever goes."""
        redirect_uri = f"{self._issuer.url}/deviceauth/callback"
        try:
            return Granted(await self._issuer.exchange_code(approval.code, approval.verifier, redirect_uri))
        except RemoteError as error:
            raise LoginFailed(f"device code exchange failed: {error}") from error

    def submit_callback(self, url: str) -> None:  # noqa: ARG002 - it is of no use, whatever it is
        """See Attempt.submit_callback."""
        raise InvalidRequest("this login waits for its code, which is typed into a browser, not for an address")

    def conclude(self, error: AccountdError | None) -> str | None:
        """See Attempt.conclude. The issuer's page is not ours to change."""
        return None if error is None else str(error)
