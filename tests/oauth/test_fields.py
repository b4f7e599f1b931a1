"""What no header field can carry is refused at every door where it comes in, and quoted at none."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.account.external import ExternalTokens
from accountd.audit.log import AuditLog
from accountd.config.policy import Policy, PolicyHolder
from accountd.errors import (
    AccountdError,
    ClientFailed,
    InvalidRequest,
    LoginFailed,
    MalformedRecord,
    RefreshFailed,
    RemoteRefused,
)
from accountd.login.admission import Admission
from accountd.oauth.fields import MAX_ID, MAX_TOKEN, Uncarried, check_id, check_token
from accountd.oauth.refresh import parse_refresh_response
from accountd.oauth.tokens import TokenSet, parse_api_key_response, parse_token_response
from accountd.protocol.account import (
    ChatgptAuthTokensRefreshParams,
    ChatgptAuthTokensRefreshResponse,
    ExternalTokensLogin,
)
from accountd.secret import Secret
from accountd.storage.base import Provenance, external_record
from accountd.storage.document import parse_record

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "canary-Zm9vYmFy"
ADMISSION = Admission(PolicyHolder(Policy()), Provenance("https://issuer.example", "app"))


def make_jwt(**auth: object) -> str:
    """Make an unsigned JWT with the canary in it."""
    parts = ({"alg": "none"}, {"https://api.openai.com/auth": auth}, CANARY)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


GOOD = make_jwt(chatgpt_account_id="acct-1")

SPOILT: dict[str, Callable[[str], str]] = {
    "ends in a line break": lambda text: f"{text}\n",
    "ends in a line break ": lambda text: f"{text}\r\n",
    "begins or ends with a blank": lambda text: f" {text}",
    "begins or ends with a blank ": lambda text: f"{text}\t",
    "has a blank in it": lambda text: f"{text} {text[-3:]}",
    "has a character in it that is not printable ASCII": lambda text: f"{text}\0",
    "has a character in it that is not printable ASCII ": lambda text: f"{text}é",
    "is longer than": lambda text: text + "a" * (1 << 19),
}
"""By what is said of it, how a token is spoilt. What is not at its end leaves a JWT that can be read."""


def file_with(mode: str, **tokens: str) -> bytes:
    """Write an auth.json."""
    given = {"id_token": GOOD, "access_token": GOOD, "refresh_token": "r", "account_id": "acct-1"} | tokens
    return json.dumps({"auth_mode": mode, "OPENAI_API_KEY": given.pop("key", None), "tokens": given}).encode()


def answer(**tokens: str) -> bytes:
    """Write an issuer's answer to an exchange."""
    return json.dumps({"id_token": GOOD, "access_token": GOOD, "refresh_token": "r"} | tokens).encode()


def log_in_to(account_id: str) -> None:
    """End a login in tokens of an account."""
    token = Secret(make_jwt(chatgpt_account_id=account_id))
    ADMISSION.admit_tokens(TokenSet(token, token, token), None)


def supply(token: str, account_id: str = "acct-1") -> None:
    """Log in with a client's own tokens."""
    ADMISSION.admit_external(ExternalTokensLogin(token, account_id))


DOORS: dict[str, tuple[type[AccountdError], Callable[[Callable[[str], str]], object]]] = {
    "client's key": (InvalidRequest, lambda spoil: ADMISSION.admit_key(Secret(spoil("sk-" + CANARY)))),
    "client's token": (InvalidRequest, lambda spoil: supply(spoil(GOOD))),
    "client's account": (InvalidRequest, lambda spoil: supply(make_jwt(chatgpt_account_id=CANARY), spoil(CANARY))),
    "issuer's access token": (
        RemoteRefused,
        lambda spoil: parse_token_response(200, answer(access_token=spoil(GOOD))),
    ),
    "issuer's ID token": (RemoteRefused, lambda spoil: parse_token_response(200, answer(id_token=spoil(GOOD)))),
    "issuer's refresh token": (
        RemoteRefused,
        lambda spoil: parse_token_response(200, answer(refresh_token=spoil(CANARY))),
    ),
    "issuer's key": (RemoteRefused, lambda spoil: parse_api_key_response(200, answer(access_token=spoil(CANARY)))),
    "issuer's account": (LoginFailed, lambda spoil: log_in_to(spoil(CANARY))),
    "refreshed access token": (
        RefreshFailed,
        lambda spoil: parse_refresh_response(200, answer(access_token=spoil(GOOD))),
    ),
    "refreshed refresh token": (
        RefreshFailed,
        lambda spoil: parse_refresh_response(200, answer(refresh_token=spoil(CANARY))),
    ),
    "file's access token": (
        MalformedRecord,
        lambda spoil: parse_record(file_with("chatgpt", access_token=spoil(GOOD))),
    ),
    "file's account": (MalformedRecord, lambda spoil: parse_record(file_with("chatgpt", account_id=spoil(CANARY)))),
    "file's key": (MalformedRecord, lambda spoil: parse_record(file_with("apikey", key=spoil(CANARY)))),
}


@pytest.mark.parametrize("fault", SPOILT)
@pytest.mark.parametrize("door", DOORS)
def test_no_door_takes_what_no_request_can_carry(door: str, fault: str) -> None:
    """Each says which of them it is and what about it, in an error of its own that quotes nothing."""
    kind, take = DOORS[door]
    take(lambda text: text)
    with pytest.raises(kind, match=fault.strip()) as caught:
        take(SPOILT[fault])
    assert CANARY not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("fault", SPOILT)
async def test_a_client_that_is_asked_for_others_may_not_give_such(fault: str) -> None:
    """The answer fails the one who needed the tokens, and those that there were stay."""

    async def ask(_params: ChatgptAuthTokensRefreshParams) -> ChatgptAuthTokensRefreshResponse:
        return ChatgptAuthTokensRefreshResponse(SPOILT[fault](GOOD), "acct-1")

    record = external_record(Secret(GOOD), "acct-1", None)
    external = ExternalTokens(record, ask, PolicyHolder(Policy()), AuditLog())
    with pytest.raises(ClientFailed, match=fault.strip()):
        await external.refresh(record)
    assert external.record is record


@pytest.mark.parametrize(
    "document",
    [
        file_with("chatgpt", key="sk-\n"),
        file_with("apikey", key="sk", access_token="\n", account_id="é"),
        file_with("bedrock", access_token="é"),
        file_with("chatgpt", refresh_token="not here, ask the other program", id_token=GOOD + "\n"),
    ],
)
def test_what_is_not_sent_may_be_anything(document: bytes) -> None:
    """Of a stored document only the credential that counts has to be carried."""
    assert parse_record(document)


@given(st.text(max_size=20) | st.text(st.characters(max_codepoint=127), max_size=20))
def test_what_is_taken_can_be_sent(text: str) -> None:
    """What passes is a field that an HTTP library of another maker takes, unchanged."""
    with suppress(Uncarried):
        check_token("it", Secret(text))
        check_id("it", text)
        request = h11.Request(
            method="GET", target="/", headers=[("Host", "a"), ("Authorization", f"Bearer {text}x")]
        )
        assert request.headers[1][1] == f"Bearer {text}x".encode()


def test_the_longest_are_taken() -> None:
    """A token has room for what the largest of servers' fields have, an id for seven UUIDs."""
    check_token("it", Secret("a" * MAX_TOKEN))
    check_id("it", "a" * MAX_ID)
