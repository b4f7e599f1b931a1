"""What is asked of the issuer, as it arrives there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import httpx
import pytest

from accountd.errors import RefreshFailed, RemoteRefused
from accountd.oauth.device import DeviceCode
from accountd.secret import Secret
from accountd.web.http import HttpClient, Way
from accountd.web.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable

    Answer = Callable[[httpx.Request], httpx.Response]


def issuer_answering(answer: Answer) -> Issuer:
    """Make an issuer whose server is a function."""

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(answer))

    http = HttpClient("agent/1", open_httpx)
    return Issuer(http, "https://i.example", "app_1", "https://t.example/token", "https://r.example/revoke")


async def test_a_device_code_is_asked_for_with_the_client_id() -> None:
    """JSON with the client id to the usercode path; the page for the person is the issuer's."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"device_auth_id": "d", "user_code": "C", "interval": "7"})

    issuer = issuer_answering(answer)
    assert await issuer.request_device_code() == DeviceCode(Secret("d"), "C", 7.0)
    (request,) = seen
    assert str(request.url) == "https://i.example/api/accounts/deviceauth/usercode"
    assert json.loads(request.content) == {"client_id": "app_1"}
    assert issuer.verification_url == "https://i.example/codex/device"


async def test_a_poll_names_the_login_and_its_code() -> None:
    """JSON with both; the answer is handed on as it is."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/accounts/deviceauth/token"
        assert json.loads(request.content) == {"device_auth_id": "d", "user_code": "C"}
        return httpx.Response(403, content=b"pending")

    polled = await issuer_answering(answer).poll_device_code(DeviceCode(Secret("d"), "C", 1.0))
    assert (polled.status, polled.body) == (403, b"pending")


async def test_a_code_is_exchanged_by_form() -> None:
    """The form of RFC 6749 section 4.1.3 with the verifier of RFC 7636, and the tokens back."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://i.example/oauth/token"
        assert dict(parse_qsl(request.content.decode())) == {
            "grant_type": "authorization_code",
            "code": "c",
            "redirect_uri": "https://i.example/deviceauth/callback",
            "client_id": "app_1",
            "code_verifier": "v",
        }
        return httpx.Response(200, json={"id_token": "i", "access_token": "a", "refresh_token": "r"})

    issuer = issuer_answering(answer)
    tokens = await issuer.exchange_code(Secret("c"), Secret("v"), "https://i.example/deviceauth/callback")
    assert tokens.refresh_token == Secret("r")


async def test_a_refusal_that_repeats_a_token_is_told_without_it() -> None:
    """In whatever form: of a code and its verifier, of a refresh token, of an ID token; the words go to the log."""
    written = ("spent\\/token-of-it", "\\u0073pent/token-of-it", "spent%2Ftoken-of-it", "c3BlbnQvdG9rZW4tb2YtaXQ=")
    body = f'{{"error":{{"message":"I will not take {", ".join(written)}, nor verifier-of-it"}}}}'
    issuer = issuer_answering(lambda request: httpx.Response(500, text=body))
    spent, verifier = Secret("spent/token-of-it"), Secret("verifier-of-it")
    told = r"500 .*I will not take \.\.\., \.\.\., \.\.\., \.\.\.=?, nor \.\.\.$"
    with pytest.raises(RefreshFailed, match=told):
        await issuer.refresh(spent, "forced")
    with pytest.raises(RemoteRefused, match=told):
        await issuer.exchange_id_token(spent)
    with pytest.raises(RemoteRefused, match=told):
        await issuer.exchange_code(spent, verifier, "http://127.0.0.1:1455/auth/callback")


async def test_a_revocation_goes_where_it_is_configured_to_go() -> None:
    """The refresh token, named as one, to the revocation URL; a refusal is an error with its status."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://r.example/revoke"
        assert json.loads(request.content) == {
            "token": "r",
            "token_type_hint": "refresh_token",
            "client_id": "app_1",
        }
        return httpx.Response(503)

    with pytest.raises(RemoteRefused, match="503 Service Unavailable") as caught:
        await issuer_answering(answer).revoke(Secret("r"))
    assert caught.value.status == 503
