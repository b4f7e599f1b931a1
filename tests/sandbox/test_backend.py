"""The backend's endpoints, for whoever has a good token."""

from __future__ import annotations

import httpx
import pytest

from accountd.backend.client import Access, Backend
from accountd.backend.payloads import (
    SecuritySetupPayload,
    render_messages,
    render_thread_usage,
    render_token_usage,
)
from accountd.backend.rate_limits import render_reset_credits
from accountd.sandbox import Claims, Script
from accountd.web.http import HttpClient, Way
from fakes.sandbox_transport import SandboxTransport
from sandbox.caller import ACCOUNTS, USAGE, Caller, Clock, error_code, read

WHAM = "/backend-api/wham"
RESETS = f"{WHAM}/rate-limit-reset-credits"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ey.ey.ey", "Basic YTpi"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ACCOUNTS),
        ("GET", USAGE),
        ("GET", RESETS),
        ("POST", f"{RESETS}/consume"),
        ("GET", f"{WHAM}/profiles/me"),
        ("POST", f"{WHAM}/usage/thread_usage/query"),
        ("GET", f"{WHAM}/workspace-messages"),
        ("POST", f"{WHAM}/accounts/send_add_credits_nudge_email"),
        ("GET", f"{WHAM}/security-setup"),
    ],
)
async def test_without_a_good_token_there_is_nothing(
    caller: Caller, method: str, path: str, authorization: str
) -> None:
    """No token, one that is not ours, and another scheme all get 401."""
    assert (await caller.send(method, path, authorization=authorization)).status == 401


async def test_an_id_token_is_no_access_token(caller: Caller) -> None:
    """The backend takes access tokens alone."""
    tokens = await caller.log_in()
    assert (await caller.usage(tokens["id_token"])).status == 401


async def test_an_expired_token_is_refused(caller: Caller, clock: Clock) -> None:
    """At the end of its lifetime a token gets 401."""
    token = (await caller.log_in())["access_token"]
    clock.time += 3599
    assert (await caller.usage(token)).status == 200
    clock.time += 1
    assert (await caller.usage(token)).status == 401


async def test_another_account_is_refused(caller: Caller) -> None:
    """ChatGPT-Account-Id must be the token's own account."""
    token = (await caller.log_in())["access_token"]
    assert (await caller.usage(token, chatgpt_account_id="account-sandbox")).status == 200
    answer = await caller.usage(token, chatgpt_account_id="account-other")
    assert (answer.status, error_code(answer)) == (403, "account_mismatch")


@pytest.mark.parametrize(("plan", "structure"), [("plus", "personal"), ("business", "workspace")])
async def test_the_account_is_the_tokens_workspace(caller: Caller, plan: str, structure: str) -> None:
    """accounts/check lists the one workspace of the token, with its name, plan and routing."""
    caller.sandbox.script = Script(claims=Claims(account_id="a-1", plan=plan, workspace_name="Engines"))
    token = caller.sandbox.issue_tokens().access_token.reveal()
    answer = read(await caller.get(ACCOUNTS, authorization=f"Bearer {token}"))
    (account,) = answer["accounts"]
    assert (account["id"], account["name"], account["plan_type"]) == ("a-1", "Engines", plan)
    assert account["structure"] == structure
    assert account["workspace_backend_origin"] == account["account_routing_override"] == "NO_CONSTRAINT"
    assert answer["account_ordering"] == ["a-1"]
    assert answer["default_account_id"] == "a-1"


async def test_usage_has_two_windows(caller: Caller, clock: Clock) -> None:
    """Usage tells of five hours and a week, and both windows end in the future."""
    usage = read(await caller.usage((await caller.log_in())["access_token"]))
    limits = usage["rate_limit"]
    assert limits["primary_window"]["limit_window_seconds"] == 18_000
    assert limits["secondary_window"]["limit_window_seconds"] == 604_800
    assert all(limits[name]["reset_at"] > clock.time for name in ("primary_window", "secondary_window"))
    assert (usage["plan_type"], usage["account_id"], usage["user_id"]) == (
        "plus",
        "account-sandbox",
        "user-sandbox",
    )


async def test_the_daemon_understands_all_of_it(caller: Caller) -> None:
    """What the daemon asks of a backend is answered in ways that it can make messages of."""

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=SandboxTransport(caller.sandbox))

    http = HttpClient("tests", open_httpx)
    backend = Backend(http, "http://127.0.0.1/backend-api")
    access = Access(caller.sandbox.issue_tokens().access_token, "account-sandbox")

    usage = await backend.read_usage(access)
    resets = render_reset_credits(await backend.read_reset_credits(access))
    assert usage.rate_limit_reset_credits is not None
    assert resets.credits is not None
    assert usage.rate_limit_reset_credits.available_count == resets.available_count == len(resets.credits)
    [credit] = resets.credits
    assert (await backend.consume_reset_credit(access, "key", credit.id)).code == "nothing_to_reset"
    assert render_token_usage(await backend.read_profile(access)).summary.lifetime_tokens == 4600
    threads = await backend.read_thread_usage(access, "thread-1")
    assert threads is not None
    assert render_thread_usage(threads, "thread-1").estimated_usage_credits_micros == 0
    messages = await backend.read_messages(access)
    assert messages is not None
    assert render_messages(messages).messages[0].message_body == "Welcome to Sandbox workspace"
    assert await backend.send_nudge(access, "credits")
    assert await backend.read_security_setup(access) == SecuritySetupPayload()
    await http.aclose()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{RESETS}/consume", {}),
        (f"{WHAM}/usage/thread_usage/query", {"thread_ids": "thread-1"}),
        (f"{WHAM}/accounts/send_add_credits_nudge_email", {"credit_type": 5}),
    ],
)
async def test_a_request_without_what_it_needs_is_refused(caller: Caller, path: str, body: object) -> None:
    """What a client leaves out, or writes as another type, is named with 400."""
    token = caller.sandbox.issue_tokens().access_token.reveal()
    answer = await caller.post(path, body, authorization=f"Bearer {token}")
    assert (answer.status, error_code(answer)) == (400, "invalid_request")
