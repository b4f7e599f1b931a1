"""Target: whatever comes in and is sent on, is refused where it comes in, or sent as it is."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

import h11

from accountd.backend.client import Access, Backend
from accountd.codex.user_agent import DEFAULT_ORIGINATOR, render_user_agent
from accountd.config.policy import Policy, PolicyHolder
from accountd.config.settings import load
from accountd.errors import AccountdError
from accountd.login.admission import Admission
from accountd.oauth.authorize import render_authorize_url
from accountd.oauth.callback import CALLBACK_PATH, Callback, parse_request
from accountd.oauth.device import DeviceCodePolling, parse_start
from accountd.oauth.refresh import parse_refresh_response
from accountd.oauth.tokens import parse_token_response
from accountd.protocol.account import ExternalTokensLogin
from accountd.secret import Secret
from accountd.storage.base import Provenance
from accountd.storage.document import parse_record
from accountd.web.issuer import Issuer
from fuzz.network import Server, ask
from fuzz.pieces import choose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.config.settings import Config
    from accountd.storage.base import AuthRecord
    from accountd.web.http import HttpClient

_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_URL: Final = "https://issuer.example"
_ADMISSION: Final = Admission(PolicyHolder(Policy()), Provenance(_URL, "client"))
_STATE: Final = "a-state"
_PORT: Final = 1455
_MARKED: Final = 12
"""Letters of what came in by which a text would quote it. Fewer may be a word of the text's own."""


class Sent(NamedTuple):
    """A request as its server reads it."""

    target: str
    fields: dict[str, str]
    body: bytes


class Sending(NamedTuple):
    """What is done with what was let in, and where in the request it has to be."""

    send: Callable[[HttpClient], Awaitable[object]]
    find: Callable[[Sent], object]
    wanted: object
    user_agent: str = "fuzz/1"


def fuzz_request(data: bytes) -> None:
    """Let a text in by a door: our error says no, without a word of it, or a server reads it where it belongs."""
    door, rest = choose(data, _DOORS)
    text = os.fsdecode(rest)  # as of the environment, where bytes need not be UTF-8
    try:
        sending = door(text)
    except AccountdError as error:
        _check_error(error, text)
        return
    server = Server([_ANSWER])
    try:
        ask(server, sending.send, sending.user_agent)
    except AccountdError as error:  # an answer without anything in it is none, mostly
        _check_error(error, text)
    assert sending.find(_read(server.heard)) == sending.wanted


def _check_error(error: AccountdError, text: str) -> None:
    words = str(error)
    assert text not in words or len(text) < _MARKED, words
    assert repr(text)[1:-1] not in words or len(text) < _MARKED, words
    words.encode()


def _read(heard: bytes) -> Sent:
    http = h11.Connection(h11.SERVER)
    http.receive_data(heard)
    request = http.next_event()
    assert isinstance(request, h11.Request), heard
    body = b""
    while isinstance(event := http.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage), heard
    fields = {name.decode(): value.decode() for name, value in request.headers}
    return Sent(request.target.decode(), fields, body)


def _jwt(signature: str, account_id: str | None = None) -> str:
    claims = {"https://api.openai.com/auth": {"chatgpt_account_id": account_id}} if account_id is not None else {}
    return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


def _tokens(**given: str) -> bytes:
    tokens = {"id_token": _jwt("s"), "access_token": _jwt("s"), "refresh_token": "rt", **given}
    return json.dumps(tokens).encode()


def _read_usage(record: AuthRecord) -> Callable[[HttpClient], Awaitable[object]]:
    login = record.chatgpt
    assert login is not None
    access = Access(login.tokens.access_token, login.account_id)
    return lambda http: Backend(http, "https://chatgpt.com/backend-api").read_usage(access)


def _send_token(record: AuthRecord, token: str) -> Sending:
    return Sending(_read_usage(record), lambda sent: sent.fields["authorization"], f"Bearer {token}")


def _send_id(record: AuthRecord, account_id: str) -> Sending:
    return Sending(_read_usage(record), lambda sent: sent.fields.get("chatgpt-account-id", ""), account_id)


def _issuer(http: HttpClient, client_id: str = "client") -> Issuer:
    return Issuer(http, _URL, client_id, f"{_URL}/oauth/token", f"{_URL}/oauth/revoke")


def _in_form(name: str) -> Callable[[Sent], object]:
    return lambda sent: parse_qs(sent.body.decode(), keep_blank_values=True, strict_parsing=True)[name]


def _in_json(name: str) -> Callable[[Sent], object]:
    return lambda sent: json.loads(sent.body)[name]


def _a_token_of_a_client(text: str) -> Sending:
    token = _jwt(text)
    record = _ADMISSION.admit_external(ExternalTokensLogin(token, "workspace"))
    return _send_token(record, token)


def _an_id_of_a_client(text: str) -> Sending:
    record = _ADMISSION.admit_external(ExternalTokensLogin(_jwt("s"), text))
    return _send_id(record, text)


def _a_token_of_the_issuer(text: str) -> Sending:
    tokens = parse_token_response(200, _tokens(access_token=text))
    return _send_token(_ADMISSION.admit_tokens(tokens, None), text)


def _an_id_of_the_issuer(text: str) -> Sending:
    tokens = parse_token_response(200, _tokens(id_token=_jwt("s", text)))
    return _send_id(_ADMISSION.admit_tokens(tokens, None), text)


def _a_stored_token(text: str) -> Sending:
    record = parse_record(b'{"tokens": %s}' % _tokens(access_token=text))
    if not text and record.chatgpt is not None:
        assert record.chatgpt.expires_at == 0
        raise AccountdError("it is refreshed before anything is asked with it")
    return _send_token(record, text)


def _a_stored_id(text: str) -> Sending:
    return _send_id(parse_record(b'{"tokens": %s}' % _tokens(account_id=text)), text)


def _a_refresh_token(text: str) -> Sending:
    token = parse_refresh_response(200, _tokens(refresh_token=text)).refresh_token or Secret("")
    return Sending(lambda http: _issuer(http).refresh(token, "forced"), _in_json("refresh_token"), text)


def _an_id_token(text: str) -> Sending:
    token = parse_token_response(200, _tokens(id_token=text)).id_token
    return Sending(lambda http: _issuer(http).exchange_id_token(token), _in_form("subject_token"), [text])


def _a_code_of_a_browser(text: str) -> Sending:
    target = f"{CALLBACK_PATH}?state={_STATE}&code={quote(os.fsencode(text), safe='')}"
    callback = parse_request(b"GET", target.encode(), [(b"Host", b"localhost:%d" % _PORT)], _PORT, Secret(_STATE))
    if not isinstance(callback, Callback):
        raise AccountdError("it was refused")
    code = callback.code
    return Sending(
        lambda http: _issuer(http).exchange_code(code, Secret("v"), "http://localhost"), _in_form("code"), [text]
    )


def _a_code_of_the_issuer(text: str) -> Sending:
    polling = DeviceCodePolling(parse_start(200, b'{"device_auth_id": "d", "user_code": "u"}'), 0.0)
    approval = polling.answer(200, json.dumps({"authorization_code": text, "code_verifier": text}).encode())
    assert approval is not None
    return Sending(
        lambda http: _issuer(http).exchange_code(approval.code, approval.verifier, "http://localhost"),
        lambda sent: (_in_form("code")(sent), _in_form("code_verifier")(sent)),
        ([text], [text]),
    )


def _a_device_id(text: str) -> Sending:
    code = parse_start(200, json.dumps({"device_auth_id": text, "user_code": text}).encode())
    return Sending(
        lambda http: _issuer(http).poll_device_code(code),
        lambda sent: (_in_json("device_auth_id")(sent), _in_json("user_code")(sent)),
        (text, text),
    )


def _check_address(config: Config, name: str, text: str) -> None:
    """Look for a text in the address that a browser is sent to."""
    address = render_authorize_url(
        config.issuer,
        config.client_id,
        redirect_uri="http://localhost",
        challenge="c",
        state=Secret(_STATE),
        originator=config.originator or DEFAULT_ORIGINATOR,
        workspaces=(),
    )
    assert parse_qs(urlsplit(address).query)[name] == [text]


def _an_originator(text: str) -> Sending:
    config = load({"CODEX_HOME": "/nowhere", "CODEX_INTERNAL_ORIGINATOR_OVERRIDE": text})
    originator = config.originator or DEFAULT_ORIGINATOR
    user_agent = render_user_agent(originator)
    _check_address(config, "originator", originator)
    return Sending(
        lambda http: _issuer(http).request_device_code(),
        lambda sent: sent.fields["user-agent"],
        user_agent,
        user_agent,
    )


def _a_client_id(text: str) -> Sending:
    config = load({"CODEX_HOME": "/nowhere", "CODEX_APP_SERVER_LOGIN_CLIENT_ID": text})
    _check_address(config, "client_id", config.client_id)
    return Sending(
        lambda http: _issuer(http, config.client_id).request_device_code(), _in_json("client_id"), config.client_id
    )


def _an_issuer(text: str) -> Sending:
    config = load({"CODEX_HOME": "/nowhere", "CODEX_APP_SERVER_LOGIN_ISSUER": text})
    return Sending(
        lambda http: Issuer(http, config.issuer, "", config.refresh_url, config.revoke_url).request_device_code(),
        lambda sent: sent.target.endswith("/api/accounts/deviceauth/usercode") and "host" in sent.fields,
        True,
    )


def _a_refresh_url(text: str) -> Sending:
    config = load({"CODEX_HOME": "/nowhere", "CODEX_REFRESH_TOKEN_URL_OVERRIDE": text})
    return Sending(
        lambda http: Issuer(http, config.issuer, "", config.refresh_url, config.revoke_url).revoke(Secret("rt")),
        lambda sent: sent.target == "/oauth/revoke" and "host" in sent.fields,
        True,
    )


_DOORS: Final = (
    _a_token_of_a_client,
    _an_id_of_a_client,
    _a_token_of_the_issuer,
    _an_id_of_the_issuer,
    _a_stored_token,
    _a_stored_id,
    _a_refresh_token,
    _an_id_token,
    _a_code_of_a_browser,
    _a_code_of_the_issuer,
    _a_device_id,
    _an_originator,
    _a_client_id,
    _an_issuer,
    _a_refresh_url,
)
