"""The sign-in that a workspace wants: a browser login that goes on as the session that it is for, or ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from accountd.account.workspaces import SignIn
from accountd.login.browser import BrowserFlow
from accountd.login.intent import Intent
from accountd.oauth.authorize import Hints
from accountd.protocol.account import BrowserLogin
from accountd.sandbox import Claims, Script, Workspace
from fakes.logged_in import login_of, open_logged_in

if TYPE_CHECKING:
    import trio.testing

    from fakes.world import World

BANK = Workspace(account_id="account-bank", sign_in=True)
SCRIPT = Script(approve_after_polls=0, workspaces=(BANK,))


async def sign_in(world: World, script: Script) -> dict[str, Any]:
    """Sign in to the bank, where the script says what comes of it, and give the completion."""
    login = login_of(world)
    wanted = SignIn("account-bank", login.claims.user_id, login.login_owner_id, "ada@example.com", "okta")
    flow = BrowserFlow(
        world.services.issuer,
        originator="tests",
        workspaces=("account-bank",),
        wishes=BrowserLogin(),
        hints=Hints("account-bank", "ada@example.com", "okta"),
        ports=(0,),
    )
    replies: list[Any] = []
    await world.logins.start(flow, replies.append, Intent(sign_in=wanted))
    asked = {name: text for name, [text] in parse_qs(urlsplit(replies[0].auth_url).query).items()}
    hints = {"current_workspace_id": "account-bank", "login_hint": "ada@example.com", "connection": "okta"}
    assert {"allowed_workspace_id": "account-bank", **hints}.items() <= asked.items()
    world.sandbox.script = script
    world.logins.submit_callback(replies[0].login_id, await world.sandbox.authorize(replies[0].auth_url))
    return await world.wait_completion(replies[0].login_id)


async def test_the_session_goes_on(autojump_clock: trio.testing.MockClock) -> None:
    """With all new tokens, for the workspace, and whichever e-mail address its person has there."""
    async with open_logged_in(SCRIPT) as world:
        before = login_of(world)
        other = Claims(email="ada@bank.example")
        assert (await sign_in(world, msgspec.structs.replace(SCRIPT, claims=other)))["success"]
        after = login_of(world)
        assert (after.session_id, after.account_id) == (before.session_id, "account-bank")
        assert after.tokens.refresh_token != before.tokens.refresh_token
        assert after.claims.email == "ada@bank.example"
        assert not any(request.path == "/oauth/revoke" for request in world.sandbox.requests)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            msgspec.structs.replace(SCRIPT, claims=Claims(user_id="user-grace")),
            "Login server error: Sign-in completed but credentials could not be saved locally.",
        ),
        (Script(), "Login server error: Login is restricted to workspace id(s) account-bank."),
    ],
    ids=["another person", "another workspace"],
)
async def test_whoever_else_comes_back_is_not_stored(
    script: Script, words: str, autojump_clock: trio.testing.MockClock
) -> None:
    """It would be another session, of which nobody has asked for a login."""
    async with open_logged_in(SCRIPT) as world:
        before = login_of(world)
        completion = await sign_in(world, msgspec.structs.replace(script, authorize="approve"))
        assert (completion["success"], completion["error"]) == (False, words)
        assert login_of(world) is before
