"""The backend's endpoints, for whoever has a good token."""

from __future__ import annotations

import pytest

from accountd.sandbox import Claims, Script
from sandbox.caller import ACCOUNTS, USAGE, Caller, Clock, error_code, read


@pytest.mark.parametrize("path", [ACCOUNTS, USAGE])
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ey.ey.ey", "Basic YTpi"])
async def test_without_a_good_token_there_is_nothing(caller: Caller, path: str, authorization: str) -> None:
    """No token, one that is not ours, and another scheme all get 401."""
    assert (await caller.get(path, authorization=authorization)).status == 401


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
