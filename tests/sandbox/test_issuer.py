"""The issuer's endpoints, as a client sees them."""

from __future__ import annotations

import base64
import hashlib

import msgspec
import pytest

from accountd.oauth.claims import parse_claims
from accountd.oauth.device import DeviceCodePolling, parse_start
from accountd.oauth.tokens import parse_token_response
from accountd.sandbox import Claims, Script
from accountd.secret import Secret
from sandbox.caller import CLIENT_ID, DEVICE, REDIRECT_URI, Caller, Clock, error_code, read

TOKEN_EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "client_id": CLIENT_ID,
    "requested_token": "openai-api-key",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
}


async def test_our_own_client_understands_a_whole_login(caller: Caller) -> None:
    """Our device-code machine and token parser read a login from code to claims."""
    started = await caller.post(f"{DEVICE}/usercode", {"client_id": CLIENT_ID})
    code = parse_start(started.status, started.body)
    polling = DeviceCodePolling(code, now=0.0)
    fields = {"device_auth_id": code.device_auth_id.reveal(), "user_code": code.user_code}
    pending = await caller.post(f"{DEVICE}/token", fields)
    assert polling.answer(pending.status, pending.body) is None
    caller.sandbox.decide(code.user_code, approve=True)
    done = await caller.post(f"{DEVICE}/token", fields)
    approval = polling.answer(done.status, done.body)
    assert approval is not None
    answer = await caller.exchange(
        {"authorization_code": approval.code.reveal(), "code_verifier": approval.verifier.reveal()}
    )
    claims = parse_claims(parse_token_response(answer.status, answer.body).id_token)
    assert claims == parse_claims(parse_token_response(answer.status, answer.body).access_token)
    assert (claims.email, claims.plan) == ("ada@example.com", "plus")
    assert (claims.user_id, claims.account_id) == ("user-sandbox", "account-sandbox")


async def test_its_tokens_say_that_they_are_not_signed(caller: Caller) -> None:
    """By `alg` (RFC 7515 section 6, RFC 7518 section 3.6), so that nobody who looks takes them for real ones."""
    tokens = caller.sandbox.issue_tokens()
    for token in (tokens.id_token, tokens.access_token):
        header = token.reveal().partition(".")[0]
        assert msgspec.json.decode(base64.urlsafe_b64decode(header + "=="))["alg"] == "none"


async def test_an_undecided_login_is_pending(caller: Caller) -> None:
    """A poll before the decision gets 403 and the issuer's own code for it."""
    answer = await caller.poll(await caller.start_login())
    assert (answer.status, error_code(answer)) == (403, "deviceauth_authorization_pending")


async def test_the_challenge_is_that_of_the_verifier(caller: Caller) -> None:
    """The challenge beside the code is S256 of the verifier (RFC 7636 section 4.2)."""
    approval = await caller.approved()
    digest = hashlib.sha256(approval["code_verifier"].encode()).digest()
    assert approval["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert 43 <= len(approval["code_verifier"]) <= 128


async def test_a_poll_whose_answer_was_lost_can_be_made_again(caller: Caller) -> None:
    """An approved login gives the same code again until it is used, and none after that."""
    login = await caller.start_login()
    caller.sandbox.decide(login["user_code"], approve=True)
    approval = read(await caller.poll(login))
    assert read(await caller.poll(login)) == approval
    read(await caller.exchange(approval))
    assert error_code(await caller.poll(login)) == "invalid_grant"


@pytest.mark.parametrize("field", ["device_auth_id", "user_code"])
async def test_a_poll_must_know_both_halves(caller: Caller, field: str) -> None:
    """A poll with a wrong id, or another login's user code, is no poll of that login."""
    answer = await caller.poll(await caller.start_login() | {field: "wrong"})
    assert (answer.status, error_code(answer)) == (400, "invalid_grant")


async def test_a_denied_login_says_so_and_stays_denied(caller: Caller) -> None:
    """After a denial a poll gets 403 access_denied, and an approval comes too late."""
    login = await caller.start_login()
    caller.sandbox.decide(login["user_code"], approve=False)
    caller.sandbox.decide(login["user_code"], approve=True)
    answer = await caller.poll(login)
    assert (answer.status, error_code(answer)) == (403, "access_denied")


async def test_a_user_code_expires(caller: Caller, clock: Clock) -> None:
    """At the end of its lifetime a code that nobody typed gets 403 expired_token."""
    login = await caller.start_login()
    clock.time += 899
    assert error_code(await caller.poll(login)) == "deviceauth_authorization_pending"
    clock.time += 1
    answer = await caller.poll(login)
    assert (answer.status, error_code(answer)) == (403, "expired_token")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"client_id": "app_other"}, "client_id"),
        ({"redirect_uri": REDIRECT_URI + "/"}, "redirect_uri"),
        ({"code_verifier": "x" * 43}, "code_verifier"),
        ({"code_verifier": "é"}, "code_verifier"),
        ({"code": "ac_wrong"}, "unknown"),
    ],
)
async def test_a_code_is_good_for_its_own_exchange_only(
    caller: Caller, changes: dict[str, str], complaint: str
) -> None:
    """Another client, redirect URI, verifier or code gets invalid_grant, and the description says which."""
    answer = await caller.exchange(await caller.approved(), **changes)
    assert complaint in read(answer, 400)["error_description"]
    assert error_code(answer) == "invalid_grant"


@pytest.mark.parametrize("first", [{}, {"code_verifier": "x" * 43}])
async def test_a_code_is_tried_once(caller: Caller, first: dict[str, str]) -> None:
    """The second try of a code is refused, whether the first one was good or not."""
    approval = await caller.approved()
    await caller.exchange(approval, **first)
    assert error_code(await caller.exchange(approval)) == "invalid_grant"


async def test_a_code_expires(caller: Caller, clock: Clock) -> None:
    """A code is good for ten minutes."""
    approval = await caller.approved()
    clock.time += 600
    assert error_code(await caller.exchange(approval)) == "invalid_grant"


async def test_tokens_say_when_they_end(caller: Caller, clock: Clock) -> None:
    """`exp` and `expires_in` are by the script's token_lifetime."""
    caller.sandbox.script = Script(token_lifetime=120)
    tokens = await caller.log_in()
    assert parse_claims(Secret(tokens["access_token"])).expires_at == clock.time + 120
    assert tokens["expires_in"] == 120


async def test_a_refresh_rotates(caller: Caller) -> None:
    """A refresh gives three new tokens; the new refresh token works, and the spent one says that it is."""
    first = await caller.log_in()
    second = read(await caller.refresh(first["refresh_token"]))
    assert not {first[name] for name in ("id_token", "access_token", "refresh_token")} & set(second.values())
    answer = await caller.refresh(first["refresh_token"])
    assert (answer.status, error_code(answer)) == (401, "refresh_token_reused")
    read(await caller.refresh(second["refresh_token"]))


async def test_a_refresh_gets_the_claims_of_the_script(caller: Caller) -> None:
    """A plan that changed in the script is in the tokens of the next refresh, and not in those before."""
    first = await caller.log_in()
    caller.sandbox.script = Script(claims=Claims(plan="pro"))
    second = read(await caller.refresh(first["refresh_token"]))
    assert parse_claims(Secret(first["access_token"])).plan == "plus"
    assert parse_claims(Secret(second["access_token"])).plan == "pro"


async def test_a_refresh_token_is_its_clients(caller: Caller) -> None:
    """Another client_id gets invalid_grant, and the token is not spent by that."""
    tokens = await caller.log_in()
    fields = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "app_other"}
    assert error_code(await caller.post("/oauth/token", fields)) == "invalid_grant"
    read(await caller.refresh(tokens["refresh_token"]))


async def test_a_revoked_login_is_over(caller: Caller) -> None:
    """Revoking a refresh token ends all tokens of its login, newer ones too, and no other login."""
    first, other = await caller.log_in(), await caller.log_in()
    second = read(await caller.refresh(first["refresh_token"]))
    read(await caller.post("/oauth/revoke", {"token": first["refresh_token"], "token_type_hint": "refresh_token"}))
    answer = await caller.refresh(second["refresh_token"])
    assert (answer.status, error_code(answer)) == (401, "refresh_token_invalidated")
    assert (await caller.usage(second["access_token"])).status == 401
    assert (await caller.usage(other["access_token"])).status == 200


async def test_an_access_token_is_revoked_alone(caller: Caller) -> None:
    """Revoking an access token leaves the refresh token good."""
    tokens = await caller.log_in()
    read(await caller.post("/oauth/revoke", {"token": tokens["access_token"]}))
    assert (await caller.usage(tokens["access_token"])).status == 401
    read(await caller.refresh(tokens["refresh_token"]))


async def test_revoking_nothing_is_no_error(caller: Caller) -> None:
    """An unknown token is answered like a known one (RFC 7009 section 2.2)."""
    assert read(await caller.post("/oauth/revoke", {"token": "rt_unknown"})) == {}


async def test_an_unknown_refresh_token_is_invalid(caller: Caller) -> None:
    """A token of before a reset, or of another issuer, reads as revoked: the person has to log in again."""
    assert error_code(await caller.refresh("rt_unknown")) == "refresh_token_invalidated"


async def test_an_id_token_buys_an_api_key(caller: Caller) -> None:
    """The token exchange gives a key for an ID token of ours, and for nothing else."""
    tokens = await caller.log_in()
    answer = await caller.post_form("/oauth/token", **TOKEN_EXCHANGE, subject_token=tokens["id_token"])
    assert read(answer)["access_token"].startswith("sk-sandbox-")
    for wrong in (
        {"subject_token": tokens["access_token"]},
        {"subject_token": tokens["id_token"], "requested_token": "gold"},
        {"subject_token": tokens["id_token"], "subject_token_type": "x"},
    ):
        assert (await caller.post_form("/oauth/token", **(TOKEN_EXCHANGE | wrong))).status == 400


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b"\xff", 400),
        ("application/json", b"{}", 400),
        ("application/json", b'{"grant_type": 5}', 400),
        ("application/json", b'{"grant_type": "password"}', 400),
        ("application/json", b'{"grant_type": "refresh_token"}', 400),
        ("application/x-www-form-urlencoded", b"grant_type=refresh_token&grant_type=x", 400),
        ("application/x-www-form-urlencoded", b"\xff=1", 400),
        ("application/x-www-form-urlencoded", b"a=%ff", 400),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(200)), 400),
        ("text/plain", b"grant_type=refresh_token", 415),
        ("", b"", 415),
    ],
)
async def test_a_bad_token_request_gets_a_reason(
    caller: Caller, content_type: str, body: bytes, status: int
) -> None:
    """Whatever the body, the answer is an error of RFC 6749 with a description."""
    answer = await caller.send("POST", "/oauth/token", body, content_type=content_type)
    assert read(answer, status)["error_description"]


@pytest.mark.parametrize("path", [f"{DEVICE}/usercode", f"{DEVICE}/token", "/oauth/token", "/oauth/revoke"])
async def test_a_missing_field_is_named(caller: Caller, path: str) -> None:
    """A request without what it needs is told the name of the field."""
    assert read(await caller.post(path, {}), 400)["error_description"].endswith(" is missing")


async def test_token_answers_are_not_cached(caller: Caller) -> None:
    """Answers with tokens carry Cache-Control: no-store (RFC 6749 section 5.1)."""
    answer = await caller.exchange(await caller.approved())
    assert answer.headers["cache-control"] == "no-store"


async def test_nothing_here_shows_a_token(caller: Caller) -> None:
    """Requests, answers and what the sandbox remembers have no token in their repr."""
    tokens = await caller.log_in()
    response = await caller.refresh(tokens["refresh_token"])
    shown = repr(response) + repr(caller.sandbox.requests) + repr(vars(caller.sandbox._state))
    for secret in [*tokens.values(), *read(response).values()]:
        if isinstance(secret, str) and secret != "Bearer":
            assert secret not in shown
