"""The issuer: the OAuth server that logs people in. One method a request; the answers are read in `oauth`.

An answer that repeats what it was sent is told without it, since that is a Secret still: see `redaction`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import IssuerUnreachable, RemoteRefused, RemoteUnreachable, describe_status
from accountd.oauth import device
from accountd.oauth.refresh import parse_refresh_response
from accountd.oauth.tokens import TokenSet, parse_api_key_response, parse_token_response

if TYPE_CHECKING:
    from accountd.oauth.refresh import Reason, Refreshed
    from accountd.secret import Secret
    from accountd.web.answer import HttpAnswer
    from accountd.web.http import HttpClient

API_KEY_TIMEOUT: Final = 10.0
"""Seconds that a login waits for an API key, which it does not need."""

REFRESH_TIMEOUT: Final = 30.0
"""Seconds for a refresh, in which every program that shares the credential waits."""

REVOKE_TIMEOUT: Final = 10.0
"""Seconds that a logout waits for the issuer before it goes on without it."""


class Issuer:
    """Requests to one issuer, as one OAuth client. Every method may raise RemoteUnreachable."""

    def __init__(self, http: HttpClient, url: str, client_id: str, refresh_url: str, revoke_url: str) -> None:
        self.url = url
        self.client_id = client_id
        self._http = http
        self._refresh_url = refresh_url
        self._revoke_url = revoke_url

    @property
    def verification_url(self) -> str:
        """Where a person types a device code."""
        return f"{self.url}/codex/device"

    async def request_device_code(self) -> device.DeviceCode:
        """Begin a device-code login. Raises RemoteRefused, with status 404 where the flow is not enabled."""
        answer = await self._http.request(
            "POST", f"{self.url}/api/accounts/deviceauth/usercode", json={"client_id": self.client_id}
        )
        return device.parse_start(answer.status, answer.body)

    async def poll_device_code(self, code: device.DeviceCode) -> HttpAnswer:
        """Ask once whether the person has decided; `oauth.device` knows what the answer means."""
        return await self._http.request(
            "POST",
            f"{self.url}/api/accounts/deviceauth/token",
            json={"device_auth_id": code.device_auth_id.reveal(), "user_code": code.user_code},
        )

    async def exchange_code(self, code: Secret, verifier: Secret, redirect_uri: str) -> TokenSet:
        """Exchange an authorization code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

        Asked once and never again: the code is spent whether or not the answer arrives. Raises RemoteRefused.
        """
        answer = await self._http.request(
            "POST",
            f"{self.url}/oauth/token",
            form={
                "grant_type": "authorization_code",
                "code": code.reveal(),
                "redirect_uri": redirect_uri,
                "client_id": self.client_id,
                "code_verifier": verifier.reveal(),
            },
        )
        return parse_token_response(answer.status, answer.body)

    async def exchange_id_token(self, id_token: Secret) -> Secret:
        """Exchange an ID token for an API key (RFC 8693 section 2.1), for ten seconds at most.

        Raises RemoteUnreachable or RemoteRefused, as for people who have no API account: a login is good
        without it.
        """
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "client_id": self.client_id,
            "requested_token": "openai-api-key",
            "subject_token": id_token.reveal(),
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        }
        try:
            with trio.fail_after(API_KEY_TIMEOUT):
                answer = await self._http.request("POST", f"{self.url}/oauth/token", form=form)
        except trio.TooSlowError:
            raise RemoteUnreachable(f"no API key in {API_KEY_TIMEOUT:.0f} s") from None
        return parse_api_key_response(answer.status, answer.body)

    async def refresh(self, refresh_token: Secret, reason: Reason) -> Refreshed:
        """Spend a refresh token on new tokens (RFC 6749 section 6, in JSON), within half a minute.

        Asked once: the token may be spent whether or not the answer arrives. Raises RefreshError.
        """
        body = {
            "client_id": self.client_id,
            "grant_type": "refresh_token",
            "refresh_reason": reason,
            "refresh_token": refresh_token.reveal(),
        }
        try:
            with trio.fail_after(REFRESH_TIMEOUT):
                answer = await self._http.request("POST", self._refresh_url, json=body)
        except trio.TooSlowError:
            raise IssuerUnreachable(f"no answer to the refresh in {REFRESH_TIMEOUT:.0f} s") from None
        except RemoteUnreachable as error:
            raise IssuerUnreachable(str(error)) from error
        return parse_refresh_response(answer.status, answer.body)

    async def revoke(self, token: Secret, hint: str = "refresh_token") -> None:
        """Ask that a grant be ended (RFC 7009 section 2.1), for ten seconds at most.

        Raises RemoteUnreachable or RemoteRefused; the tokens are to be forgotten all the same.
        """
        body = {
            "token": token.reveal(),
            "token_type_hint": hint,
            "client_id": self.client_id,
        }
        try:
            with trio.fail_after(REVOKE_TIMEOUT):
                answer = await self._http.request("POST", self._revoke_url, json=body)
        except trio.TooSlowError:
            raise RemoteUnreachable(f"no answer to the revocation in {REVOKE_TIMEOUT:.0f} s") from None
        if not 200 <= answer.status < 300:
            raise RemoteRefused(f"the revocation was answered {describe_status(answer.status)}", answer.status)
