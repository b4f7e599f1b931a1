"""The pages: what a person reads, does and is protected from."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.sandbox import Claims, Response, Script, pages
from accountd.sandbox.authorization import AuthorizationRequest, BadParameter, parse_authorization, parse_query
from accountd.sandbox.state import DeviceLogin, LoggedRequest, Prompt
from sandbox.caller import CLIENT_ID, Caller, Clock, authorize_url, error_code
from sandbox.page import HOSTILE, Page


def login(client_id: str = CLIENT_ID) -> DeviceLogin:
    """Give a login that waits."""
    return DeviceLogin("BCDF-GHJK", client_id, expires=0.0)


def asked(**changes: str | None) -> AuthorizationRequest:
    """Give a request of a browser login."""
    return parse_authorization(parse_query(urlsplit(authorize_url(**changes)).query))


EVERY_PAGE = [
    pages.render_enter(),
    pages.render_enter("x", "wrong"),
    pages.render_decide(login(), Claims()),
    pages.render_approved(),
    pages.render_denied(),
    pages.render_used(),
    pages.render_expired(),
    pages.render_consent(asked(), Claims()),
    pages.render_wrong_workspace(asked(), Claims()),
    pages.render_bad_parameter(BadParameter("state", "is missing")),
    pages.render_index("http://127.0.0.1:8000", {"A": [("GET", "/", "it")]}),
    pages.render_prompts([Prompt(0.0, "ada", "say hello", 200)]),
    pages.render_panel([login()], {"A": [("a", "do it", True)]}, [LoggedRequest(0.0, "GET", "/", 200)], 0.0),
    pages.render_panel([], {}, [], 0.0),
]


@pytest.mark.parametrize("response", EVERY_PAGE)
def test_every_page_says_that_it_is_a_sandbox(response: Response) -> None:
    """Each page says so in words, in a language that it names, and fits a small screen."""
    page = Page(response)
    assert "This is a sandbox. No real account is involved" in page.text
    assert page.find("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in page.find("meta"))
    assert len(page.find("h1")) == 1
    assert len(page.find("main")) == 1


@pytest.mark.parametrize("response", EVERY_PAGE)
def test_no_page_loads_or_runs_anything(response: Response) -> None:
    """No script, no remote asset, no handler; and the headers forbid what is not there."""
    page = Page(response)
    assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "url(" not in response.body.decode()
    assert "@import" not in response.body.decode()
    for name in ("default-src 'none'", "style-src 'unsafe-inline'", "form-action 'self'"):
        assert name in response.headers["content-security-policy"]
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "text/html; charset=utf-8"


def test_every_field_has_a_label() -> None:
    """The one field that is typed into has a label, and its complaint is tied to it."""
    page = Page(pages.render_enter("x", "wrong"))
    (field,) = page.find("input")
    assert page.find("label") == [{"for": field["id"]}]
    assert field["aria-invalid"] == "true"
    assert any(element.get("id") == field["aria-describedby"] for element in page.find("p"))


@given(st.text(min_size=1, max_size=50) | st.just(HOSTILE))
def test_hostile_text_stays_text(text: str) -> None:
    """Whatever is typed, or stands in the claims, adds no element to a page and is shown as it is."""
    claims = Claims(email=text, plan=text, workspace_name=text, account_id=text)
    for plain, hostile in (
        (pages.render_enter("x", "x"), pages.render_enter(text, text)),
        (pages.render_decide(login(), Claims()), pages.render_decide(login(text), claims)),
        (pages.render_consent(asked(), Claims()), pages.render_consent(asked(originator=text), claims)),
        (
            pages.render_wrong_workspace(asked(), Claims()),
            pages.render_wrong_workspace(asked(originator=text), claims),
        ),
        (
            pages.render_bad_parameter(BadParameter("x", "x")),
            pages.render_bad_parameter(BadParameter(text, text)),
        ),
        (
            pages.render_prompts([Prompt(0.0, "x", "x", 200)]),
            pages.render_prompts([Prompt(0.0, text, text, 200)]),
        ),
        (
            pages.render_panel([], {}, [LoggedRequest(0.0, "x", "x", 0)], 0.0),
            pages.render_panel([], {}, [LoggedRequest(0.0, text, text, 0)], 0.0),
        ),
        (pages.render_index("x", {"x": [("x", "x", "x")]}), pages.render_index(text, {text: [(text, text, text)]})),
    ):
        expected, page = Page(plain), Page(hostile)
        assert [tag for tag, _ in page.elements] == [tag for tag, _ in expected.elements]
        assert [list(attributes) for _, attributes in page.elements] == [
            list(attributes) for _, attributes in expected.elements
        ]


def test_what_was_typed_comes_back() -> None:
    """A code that was not good stands in the field again, quotes and all."""
    assert Page(pages.render_enter(HOSTILE, "wrong")).find("input")[0]["value"] == HOSTILE


async def typed(caller: Caller, code: str) -> Response:
    """Type a code and send it."""
    return await caller.post_form("/codex/device", user_code=code)


async def decided(caller: Caller, code: str, decision: str) -> Response:
    """Press a button for a code."""
    return await caller.post_form("/codex/device/decision", user_code=code, decision=decision)


@pytest.mark.parametrize(("decision", "status"), [("approve", 200), ("deny", 403), ("", 403)])
async def test_a_person_decides(caller: Caller, decision: str, status: int) -> None:
    """A code that is typed leads to its account and two buttons; only one of them approves."""
    started = await caller.start_login()
    page = Page(await typed(caller, started["user_code"]))
    assert "ada@example.com" in page.text
    assert [button["value"] for button in page.find("button")] == ["approve", "deny"]
    action, fields = page.fill_in()
    answer = await caller.post_form(action, **fields, decision=decision)
    assert ("Approved" if decision == "approve" else "Denied") in Page(answer).text
    assert (await caller.poll(started)).status == status


async def test_a_code_may_be_typed_carelessly(caller: Caller) -> None:
    """Case, blanks and dashes do not matter."""
    code = (await caller.start_login())["user_code"]
    careless = f" {code.lower().replace('-', ' ')} "
    assert code in Page(await typed(caller, careless)).text


@pytest.mark.parametrize("code", ["", "-", "BCDF-0000", "x" * 10_000, HOSTILE])
async def test_a_wrong_code_may_be_typed_again(caller: Caller, code: str) -> None:
    """A code that nobody waits for gets 404, and the form again with a complaint."""
    await caller.start_login()
    answer = await typed(caller, code)
    assert answer.status == 404
    assert "No login is waiting for this code" in Page(answer).text
    assert len(Page(answer).find("input")) == 1


@pytest.mark.parametrize("approve", [True, False])
async def test_a_used_code_has_a_page(caller: Caller, *, approve: bool) -> None:
    """A decided code gets 409 and says so, when it is typed and when a button is pressed for it again."""
    code = (await caller.start_login())["user_code"]
    caller.sandbox.decide(code, approve=approve)
    for answer in (await typed(caller, code), await decided(caller, code, "approve")):
        assert answer.status == 409
        assert "has been used" in Page(answer).text


async def test_an_expired_code_has_a_page(caller: Caller, clock: Clock) -> None:
    """A code past its lifetime gets 410 and cannot be approved, though the page was open in time."""
    started = await caller.start_login()
    await typed(caller, started["user_code"])
    clock.time += 900
    answer = await decided(caller, started["user_code"], "approve")
    assert answer.status == 410
    assert "has expired" in Page(answer).text
    assert error_code(await caller.poll(started)) == "expired_token"


_OURS = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "origin": _OURS},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:8001"},
        {"origin": "http://localhost:8000"},
        {"origin": f"{_OURS}.evil.example"},
        {"origin": ""},
        {"referer": "https://evil.example/?http://127.0.0.1:8000/"},
        {"referer": "http://127.0.0.1:8001/codex/device"},
        {"referer": f"{_OURS}@evil.example/"},
        {"referer": "http://["},
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/codex/device",
        "/codex/device/decision",
        "/oauth/authorize/decision",
        "/sandbox/decision",
        "/sandbox/switch",
    ],
)
async def test_another_site_cannot_send_our_forms(caller: Caller, path: str, elsewhere: dict[str, str]) -> None:
    """A form from another site, of another port, or of a page that hides where it is from, decides nothing."""
    started = await caller.start_login()
    asked = urlsplit(authorize_url()).query
    form = f"user_code={started['user_code']}&decision=approve&name=deny&{asked}".encode()
    kind = "application/x-www-form-urlencoded"
    assert (await caller.send("POST", path, form, content_type=kind, **elsewhere)).status == 403
    assert (await caller.poll(started)).status == 403


@pytest.mark.parametrize(
    "ours",
    [
        {"sec_fetch_site": "same-origin", "origin": _OURS},
        {"origin": _OURS},
        {"referer": f"{_OURS}/codex/device"},
        {},
    ],
)
async def test_our_own_forms_are_taken(caller: Caller, ours: dict[str, str]) -> None:
    """From our own page, by a browser of any age, or from a program."""
    started = await caller.start_login()
    form = f"user_code={started['user_code']}&decision=approve".encode()
    kind = "application/x-www-form-urlencoded"
    answer = await caller.send("POST", "/codex/device/decision", form, content_type=kind, **ours)
    assert answer.status == 200


async def test_the_first_page_lists_what_there_is(caller: Caller) -> None:
    """`/` names every path for people, clients and scripts, and how to script it from here."""
    text = Page(await caller.get("/")).text
    for path in (
        "/codex/device",
        "/oauth/authorize",
        "/oauth/token",
        "/backend-api/wham/usage",
        "/sandbox/script",
        "/sandbox/reset",
    ):
        assert path in text
    assert "' http://127.0.0.1:8000/sandbox/script" in text


async def test_the_scripts_on_the_first_page_work(caller: Caller) -> None:
    """Each example that `/` shows is a script that the sandbox takes."""
    examples = re.findall(r"-d '([^']+)'", Page(await caller.get("/")).text)
    assert len(examples) == 2
    for example in examples:
        assert (await caller.send("POST", "/sandbox/script", example.encode())).status == 200


async def test_a_page_is_that_of_the_claims(caller: Caller) -> None:
    """The account on the page is the one that the script will put into the tokens."""
    caller.sandbox.script = Script(claims=Claims(email="grace@example.com", workspace_name=None))
    text = Page(await typed(caller, (await caller.start_login())["user_code"])).text
    assert "grace@example.com" in text
    assert "none" in text
