"""`/oauth/authorize`: the page, the buttons, the script in the place of a person, and the login that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from accountd.oauth.callback import Callback, Denied, MissingCode, NotEntitled, parse_request
from accountd.oauth.claims import parse_claims
from accountd.oauth.tokens import parse_token_response
from accountd.sandbox import Claims, ConnectionDropped, Fault, Response, Script
from accountd.secret import Secret
from sandbox.caller import CALLBACK, CLIENT_ID, PKCE, Caller, Clock, authorize_url, error_code, read
from sandbox.page import HOSTILE, Page

if TYPE_CHECKING:
    from accountd.sandbox.script import Authorize

DECISION = "/oauth/authorize/decision"
EXCHANGE = {
    "grant_type": "authorization_code",
    "redirect_uri": CALLBACK,
    "client_id": CLIENT_ID,
    "code_verifier": PKCE.verifier.reveal(),
}


def answer_of(location: str) -> dict[str, str]:
    """Give the parameters with which the browser is sent back to the app, and nowhere else."""
    address, _, query = location.partition("?")
    assert address == CALLBACK
    fields = parse_qs(query, strict_parsing=True)
    return {name: value for name, (value,) in fields.items()}


async def press(caller: Caller, response: Response, decision: str, **changes: str) -> Response:
    """Press a button of a page, with some of its fields changed."""
    page = Page(response)
    assert decision in [button["value"] for button in page.find("button")]
    action, fields = page.fill_in()
    return await caller.post_form(action, **(fields | changes), decision=decision)


async def exchange(caller: Caller, location: str, **changes: str) -> Response:
    """Exchange the code of a redirect, as the app that it is for, with some fields changed."""
    return await caller.post_form("/oauth/token", **(EXCHANGE | {"code": answer_of(location)["code"]} | changes))


async def test_the_page_says_who_asks_for_what(caller: Caller) -> None:
    """The page names the app, its client id, the account, workspace, plan, every scope, and where it goes next."""
    response = await caller.open(authorize_url())
    assert response.status == 200
    text = Page(response).text
    account = ("ada@example.com", "Sandbox workspace", "account-sandbox", "plus")
    for part in ("test_client", CLIENT_ID, *account, "http://127.0.0.1:1455"):
        assert part in text
    for scope in ("openid", "profile", "email", "offline_access", "api.connectors.read", "api.connectors.invoke"):
        assert f"<code>{scope}</code>" in response.body.decode()


async def test_what_is_not_given_has_words(caller: Caller) -> None:
    """An app without a name, and one that asks for nothing, are shown as such."""
    caller.sandbox.script = Script(claims=Claims(workspace_name=None))
    text = Page(await caller.open(authorize_url(originator=None, scope=None))).text
    for words in ("It gives no name", "nothing", "none"):
        assert words in text


async def test_approval_sends_the_browser_back_with_a_code(caller: Caller) -> None:
    """Approve gets 303 to the redirect URI with a code and the app's state, and nothing may keep or tell of it."""
    answer = await press(caller, await caller.open(authorize_url()), "approve")
    assert (answer.status, answer.body) == (303, b"")
    assert set(answer_of(answer.headers["location"])) == {"code", "state"}
    assert answer_of(answer.headers["location"])["state"] == "the-state"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_denial_sends_the_browser_back_with_an_error(caller: Caller) -> None:
    """Deny gets 303 with access_denied, words for it and the state."""
    answer = await press(caller, await caller.open(authorize_url()), "deny")
    assert answer.status == 303
    assert answer_of(answer.headers["location"]) == {
        "error": "access_denied",
        "error_description": "The person denied the login.",
        "state": "the-state",
    }


async def test_only_approval_approves(caller: Caller) -> None:
    """A form without a decision, or with an unknown one, is a denial."""
    action, fields = Page(await caller.open(authorize_url())).fill_in()
    assert action == DECISION
    for extra in ({}, {"decision": ""}, {"decision": "APPROVE"}):
        answer = await caller.post_form(action, **fields, **extra)
        assert "error" in answer_of(answer.headers["location"])


async def test_a_login_from_page_to_tokens(caller: Caller) -> None:
    """The code of a real challenge is exchanged with its verifier, for the tokens of the account on the page."""
    location = await caller.sandbox.authorize(authorize_url())
    answer = await exchange(caller, location)
    claims = parse_claims(parse_token_response(answer.status, answer.body).id_token)
    assert (claims.email, claims.account_id, claims.plan) == ("ada@example.com", "account-sandbox", "plus")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"code_verifier": PKCE.challenge}, "code_verifier"),
        ({"code_verifier": "short"}, "code_verifier must be 43 to 128"),
        ({"client_id": "app_other"}, "client_id"),
        ({"redirect_uri": "http://localhost:1455/auth/callback"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1:1457/auth/callback"}, "redirect_uri"),
    ],
)
async def test_a_code_is_bound_to_its_request(caller: Caller, changes: dict[str, str], complaint: str) -> None:
    """Another verifier, client or redirect URI does not get its tokens, and has used the code up."""
    location = await caller.sandbox.authorize(authorize_url())
    answer = await exchange(caller, location, **changes)
    assert complaint in read(answer, 400)["error_description"]
    assert error_code(await exchange(caller, location)) == "invalid_grant"


async def test_a_code_is_good_once_and_not_for_long(caller: Caller, clock: Clock) -> None:
    """A second exchange is refused, and so is a first one after ten minutes."""
    used, late = [await caller.sandbox.authorize(authorize_url()) for _ in range(2)]
    read(await exchange(caller, used))
    assert error_code(await exchange(caller, used)) == "invalid_grant"
    clock.time += 600
    assert error_code(await exchange(caller, late)) == "invalid_grant"


async def test_every_approval_has_a_code_of_its_own(caller: Caller) -> None:
    """A person who goes back and approves again gets another code, and both are good."""
    page = await caller.open(authorize_url())
    locations = [(await press(caller, page, "approve")).headers["location"] for _ in range(2)]
    assert locations[0] != locations[1]
    for location in locations:
        read(await exchange(caller, location))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"redirect_uri": "https://evil.example/auth/callback"}, "redirect_uri"),
        ({"response_type": "token"}, "response_type"),
        ({"state": None}, "state"),
        ({"code_challenge_method": "plain"}, "code_challenge_method"),
    ],
)
@pytest.mark.parametrize("authorize", ["ask", "approve", "deny"])
async def test_a_bad_link_gets_a_page(
    caller: Caller, changes: dict[str, str | None], named: str, authorize: Authorize
) -> None:
    """A bad parameter gets 400 and a page with its name, never a redirect, whatever the script says."""
    caller.sandbox.script = Script(authorize=authorize)
    answer = await caller.open(authorize_url(**changes))
    assert answer.status == 400
    assert "location" not in answer.headers
    assert f"{named} " in Page(answer).text
    assert "evil" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["redirect_uri", "response_type", "state", "code_challenge", "client_id"])
async def test_a_form_is_checked_again(caller: Caller, name: str) -> None:
    """What the form carries is not trusted: a field that was changed gets 400 and its name, and no redirect."""
    answer = await press(caller, await caller.open(authorize_url()), "approve", **{name: "é"})
    assert (answer.status, "location" in answer.headers) == (400, False)
    assert f"{name} must be" in Page(answer).text


@pytest.mark.parametrize("name", ["client_id", "state", "scope", "originator", "allowed_workspace_id"])
async def test_hostile_parameters_are_text(caller: Caller, name: str) -> None:
    """What is shown or carried adds no element but words, and comes back from the form as it was."""
    caller.sandbox.script = Script(claims=Claims(account_id=HOSTILE))
    answer = await caller.open(authorize_url(**{name: HOSTILE}))
    page = Page(answer)
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert page.fill_in()[1][name] == HOSTILE
    assert HOSTILE not in repr(answer.headers)


async def test_the_forms_policy_allows_the_redirect_alone(caller: Caller) -> None:
    """Besides the sandbox, the form may lead to the origin of the redirect URI; all else is as on other pages."""
    policy = (await caller.open(authorize_url())).headers["content-security-policy"]
    assert policy == (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' http://127.0.0.1:1455; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    refused = await caller.open(authorize_url(state=None))
    assert "form-action 'self';" in refused.headers["content-security-policy"]


async def test_any_site_may_lead_to_the_page(caller: Caller) -> None:
    """The link is opened from mail, terminals and other sites, so its page is for all of them."""
    assert (await caller.open(authorize_url(), **{"sec-fetch-site": "cross-site"})).status == 200


@pytest.mark.parametrize("allowed", ["account-sandbox", "other, account-sandbox"])
async def test_an_allowed_workspace_is_no_matter(caller: Caller, allowed: str) -> None:
    """Where the account's workspace is among the allowed ones, the page asks as ever."""
    answer = await caller.open(authorize_url(allowed_workspace_id=allowed))
    assert answer.status == 200
    assert "Let this app log in?" in Page(answer).text


async def test_a_workspace_that_is_not_allowed_is_said_to_be(caller: Caller) -> None:
    """The page, of status 403, names the allowed workspaces and the account's own."""
    answer = await caller.open(authorize_url(allowed_workspace_id="one,two"))
    assert answer.status == 403
    text = Page(answer).text
    for part in ("This workspace is not allowed", "one", "two", "account-sandbox", "ada@example.com"):
        assert part in text


@pytest.mark.parametrize(("decision", "given"), [("approve", "code"), ("deny", "error")])
async def test_a_workspace_that_is_not_allowed_can_be_used(caller: Caller, decision: str, given: str) -> None:
    """Its page leads back to the app, or on with a code: whether the app checks for itself is to be seen."""
    page = await caller.open(authorize_url(allowed_workspace_id="one"))
    assert given in answer_of((await press(caller, page, decision)).headers["location"])


@pytest.mark.parametrize(
    ("authorize", "names"),
    [
        ("approve", {"code", "state"}),
        ("deny", {"error", "error_description", "state"}),
        ("not_entitled", {"error", "error_description", "state"}),
        ("no_code", {"state"}),
        ("server_error", {"error", "error_description", "state"}),
    ],
)
async def test_a_script_decides_without_a_page(caller: Caller, authorize: Authorize, names: set[str]) -> None:
    """Every decision but "ask" is a redirect at once, also for a workspace that is not allowed."""
    caller.sandbox.script = Script(authorize=authorize)
    answer = await caller.open(authorize_url(allowed_workspace_id="other"))
    assert answer.status == 303
    assert set(answer_of(answer.headers["location"])) == names


async def test_our_own_listener_understands_every_answer(caller: Caller) -> None:
    """What the script decides is what our callback parser takes it for."""

    async def told(authorize: Authorize) -> object:
        caller.sandbox.script = Script(authorize=authorize)
        target = (await caller.open(authorize_url())).headers["location"].removeprefix("http://127.0.0.1:1455")
        return parse_request(b"GET", target.encode(), [(b"host", b"127.0.0.1:1455")], 1455, Secret("the-state"))

    assert isinstance(await told("approve"), Callback)
    assert await told("deny") == Denied("access_denied", "The person denied the login.")
    assert await told("not_entitled") == NotEntitled()
    assert await told("no_code") == MissingCode()
    assert await told("server_error") == Denied("server_error", "The script of the sandbox asked for this.")


async def test_a_person_decides_for_all_a_script_says_later(caller: Caller) -> None:
    """A page that is open keeps its buttons when the script changes."""
    page = await caller.open(authorize_url())
    caller.sandbox.script = Script(authorize="deny")
    assert "code" in answer_of((await press(caller, page, "approve")).headers["location"])


@pytest.mark.parametrize("workspaces", [None, "other"])
@pytest.mark.parametrize(("approve", "given"), [(True, "code"), (False, "error")])
async def test_tests_decide_in_one_line(
    caller: Caller, workspaces: str | None, given: str, *, approve: bool
) -> None:
    """`Sandbox.authorize` opens the page and presses the button, and both requests are in the log."""
    location = await caller.sandbox.authorize(authorize_url(allowed_workspace_id=workspaces), approve=approve)
    assert given in answer_of(location)
    assert [(entry.method, entry.path) for entry in caller.sandbox.requests] == [
        ("GET", "/oauth/authorize"),
        ("POST", DECISION),
    ]


async def test_a_scripted_decision_needs_no_button(caller: Caller) -> None:
    """`Sandbox.authorize` gives the script's redirect, whatever the test would have pressed."""
    caller.sandbox.script = Script(authorize="deny")
    assert "error" in answer_of(await caller.sandbox.authorize(authorize_url(), approve=True))


async def test_there_is_not_always_something_to_decide(caller: Caller) -> None:
    """`Sandbox.authorize` raises LookupError for a page without buttons, and lets a drop through."""
    for url in (authorize_url(state=None), "http://127.0.0.1:8000/"):
        with pytest.raises(LookupError, match="nothing to decide"):
            await caller.sandbox.authorize(url)
    caller.sandbox.script = Script(faults=(Fault(path=DECISION, nth=1, status=0),))
    with pytest.raises(ConnectionDropped):
        await caller.sandbox.authorize(authorize_url())


async def test_a_fault_can_refuse_the_api_key_alone(caller: Caller) -> None:
    """The API key is the second request to /oauth/token of a browser login: without a fault given, with one not."""
    refusal = Fault(path="/oauth/token", nth=2, status=401)
    for faults, status in (((), 200), ((refusal,), 401)):
        caller.sandbox.script = Script(authorize="approve", faults=faults)
        tokens = read(await exchange(caller, await caller.sandbox.authorize(authorize_url())))
        answer = await caller.post_form(
            "/oauth/token",
            grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
            client_id=CLIENT_ID,
            requested_token="openai-api-key",
            subject_token=tokens["id_token"],
            subject_token_type="urn:ietf:params:oauth:token-type:id_token",
        )
        assert answer.status == status


async def test_nothing_here_shows_a_code(caller: Caller) -> None:
    """The code and the state are in the redirect, and in no repr and no log."""
    answer = await press(caller, await caller.open(authorize_url()), "approve")
    fields = answer_of(answer.headers["location"])
    shown = repr(answer) + repr(caller.sandbox.requests) + repr(vars(caller.sandbox._state))
    assert fields["code"] not in shown
    assert fields["state"] not in shown
