"""What is asked of the issuer, as it arrives there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import httpx
import pytest
import trio

from accountd.errors import IssuerUnreachable, RefreshFailed, RemoteRefused, RemoteUnreachable
from accountd.oauth.device import DeviceCode
from accountd.secret import Secret
from accountd.web.http import HttpClient, Way
from accountd.web.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    Answer = (
        Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]
    )


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


async def test_a_revocation_that_is_done_is_no_error() -> None:
    """With whatever status says so."""
    await issuer_answering(lambda _: httpx.Response(204)).revoke(Secret("r"))


async def test_an_api_key_is_asked_for_by_form() -> None:
    """The form of RFC 8693 section 2.1, and the key back."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert dict(parse_qsl(request.content.decode())) == {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "client_id": "app_1",
            "requested_token": "openai-api-key",
            "subject_token": "i",
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        }
        return httpx.Response(200, json={"access_token": "sk-1"})

    assert await issuer_answering(answer).exchange_id_token(Secret("i")) == Secret("sk-1")


@pytest.mark.parametrize(
    ("ask", "error", "seconds"),
    [
        (lambda issuer: issuer.refresh(Secret("r"), "proactive_expiry"), IssuerUnreachable, 30),
        (lambda issuer: issuer.revoke(Secret("r")), RemoteUnreachable, 10),
        (lambda issuer: issuer.exchange_id_token(Secret("i")), RemoteUnreachable, 10),
    ],
    ids=["refresh", "revoke", "exchange_id_token"],
)
async def test_an_issuer_that_is_not_there_is_given_up(
    ask: Callable[[Issuer], Awaitable[object]], error: type[Exception], seconds: int, autojump_clock: object
) -> None:
    """At once where it cannot be reached, and in its time where it is silent."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async def keep_silent(_: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()

    for answer, waited in ((refuse, 0), (keep_silent, seconds)):
        begun = trio.current_time()
        with pytest.raises(error, match=f"in {seconds} s" if waited else None):
            await ask(issuer_answering(answer))
        assert trio.current_time() - begun == pytest.approx(waited)
