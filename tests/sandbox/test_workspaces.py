"""The workspaces of a person, as a client sees them."""

from __future__ import annotations

from typing import Any

import pytest

from accountd.oauth.claims import parse_claims
from accountd.sandbox import Script, Workspace
from accountd.secret import Secret
from sandbox.caller import ACCOUNTS, CALLBACK, PKCE, Caller, authorize_url, error_code, read

SWITCH = "/backend-api/accounts/switch-workspace-token"
SCRIPT = Script(
    workspaces=(
        Workspace(account_id="acme", name="Acme"),
        Workspace(account_id="bank", sign_in=True, sso_connection="okta"),
        Workspace(account_id="shut", deactivated=True),
        Workspace(account_id="state", government=True),
    )
)


def workspace_of(token: str) -> str | None:
    """Give the workspace that a token is for."""
    return parse_claims(Secret(token)).account_id


async def exchange(caller: Caller, token: str, workspace: str) -> Any:
    """Ask for a token of another workspace."""
    return await caller.post(SWITCH, {"workspace_id": workspace}, authorization=f"Bearer {token}")


async def test_a_token_is_exchanged_for_another_workspace_and_back(caller: Caller) -> None:
    """Both stay good; a refresh is for the workspace of the login, and spends its token."""
    caller.sandbox.script = SCRIPT
    tokens = await caller.log_in()
    there = read(await exchange(caller, tokens["access_token"], "acme"))["access_token"]
    assert workspace_of(there) == "acme"
    back = read(await exchange(caller, there, "account-sandbox"))["access_token"]
    assert workspace_of(back) == "account-sandbox"
    for token in (there, tokens["access_token"]):
        assert (await caller.usage(token)).status == 200
    refreshed = read(await caller.refresh(tokens["refresh_token"]))
    assert workspace_of(refreshed["access_token"]) == "account-sandbox"
    assert error_code(await caller.refresh(tokens["refresh_token"])) == "refresh_token_reused"


@pytest.mark.parametrize("workspace", ["bank", "shut", "state", "nowhere"])
async def test_a_workspace_that_cannot_be_had_is_refused(caller: Caller, workspace: str) -> None:
    """One with a sign-in of its own, one that is shut, a government's, somebody else's."""
    caller.sandbox.script = SCRIPT
    tokens = await caller.log_in()
    assert (await exchange(caller, tokens["access_token"], workspace)).status == 403


async def test_all_are_listed_with_what_they_want(caller: Caller) -> None:
    """Alike with a token of any of them, but that one is in its own without another sign-in."""
    caller.sandbox.script = SCRIPT
    token = (await caller.log_in())["access_token"]
    there = read(await exchange(caller, token, "acme"))["access_token"]
    listed = [read(await caller.send("GET", ACCOUNTS, authorization=f"Bearer {each}")) for each in (token, there)]
    assert listed[0] == listed[1]
    assert listed[0]["account_ordering"] == ["account-sandbox", "acme", "bank", "shut", "state"]
    bank = listed[0]["accounts"][2]
    assert (bank["can_access_with_session"], bank["sso_connection_name"]) == (False, "okta")


async def test_a_browser_login_is_for_the_allowed_workspace(caller: Caller) -> None:
    """The person's first that is; and so are its refreshes."""
    caller.sandbox.script = SCRIPT
    url = authorize_url(allowed_workspace_id="nowhere,bank")
    code = (await caller.sandbox.authorize(url)).partition("code=")[2].partition("&")[0]
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    answer = await caller.post(
        "/oauth/token", fields | {"client_id": "app_test", "code_verifier": PKCE.verifier.reveal()}
    )
    tokens = read(answer)
    refreshed = read(await caller.refresh(tokens["refresh_token"]))
    for each in (tokens, refreshed):
        assert workspace_of(each["id_token"]) == workspace_of(each["access_token"]) == "bank"
