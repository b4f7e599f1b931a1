"""The browser login in a real Chromium, and every page of ours as people with different eyes and screens get it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect, sync_playwright

from accountd.oauth import pages
from accountd.oauth.callback import Denied
from accountd.sandbox import Script
from fakes.processes import PATIENCE, completion, running_with_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from accountd.client.blocking import Client

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ,
    reason="no Chromium on this machine; install Debian's package `chromium` to run these",
)

ARGUMENTS = (
    "--no-sandbox",  # which a container has no room for; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> " + "long " * 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give a page with nothing remembered."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def client(home: Path, loopback: None) -> Iterator[Client]:
    """Give a client of a daemon whose issuer is a sandbox."""
    with running_with_sandbox(home, Script()) as (daemon, _), daemon.connect() as client:
        yield client


def start(client: Client) -> dict[str, Any]:
    """Begin a browser login."""
    started: dict[str, Any] = client.call("account/login/start", {"type": "chatgpt"})
    return started


def find_violations(page: Page) -> list[str]:
    """Run axe, and name what it finds."""
    response = Axe().run(page).response
    return [f"{found['id']}: {found['help']}" for found in response["violations"]]


def test_a_person_logs_in(client: Client, page: Page) -> None:
    """From the authorize page to the success page; the address bar ends clean, and so does the history."""
    started = start(client)
    page.goto(started["authUrl"])
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed in")
    assert page.url.endswith("/success")
    assert completion(client, started["loginId"])["success"]
    assert client.call("account/read", {})["account"]["email"] == "ada@example.com"
    assert find_violations(page) == []


def test_a_person_denies(client: Client, page: Page) -> None:
    """The page says that it was denied and what to do next; the client hears it, too."""
    started = start(client)
    page.goto(started["authUrl"])
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign-in was denied")
    assert page.url.endswith("/failure")
    assert completion(client, started["loginId"])["error"].startswith("Login server error: Sign-in failed: ")
    assert find_violations(page) == []


def test_an_old_link_is_told_to_be_old(client: Client, page: Page) -> None:
    """The page of an earlier login, approved late, changes nothing; the login that is under way completes."""
    old = start(client)
    page.goto(old["authUrl"])
    new = start(client)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This link is wrong or old")
    assert find_violations(page) == []
    page.goto(new["authUrl"])
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed in")
    assert completion(client, new["loginId"])["success"]


def test_a_browser_that_is_closed_in_time_has_logged_in(client: Client, page: Page) -> None:
    """Closing the window as soon as it has come back to this machine, and not before, does not matter."""
    started = start(client)
    page.goto(started["authUrl"])
    page.get_by_role("button", name="Approve").click(no_wait_after=True)
    client.wait_notification(lambda told: told.params.get("state") == "exchanging", PATIENCE)
    page.close()
    assert completion(client, started["loginId"])["success"]


def test_a_hostile_page_ends_nothing(client: Client, page: Page) -> None:
    """A web page that tries every way at the port, with a real browser's help, leaves the login as it was."""
    started = start(client)
    port = started["authUrl"].split("127.0.0.1%3A")[1][:4]
    attack = f"""<!doctype html><title>evil</title><body><script>
      const base = "http://127.0.0.1:{port}";
      for (const path of ["/cancel", "/auth/callback?error=access_denied&state=x", "/auth/callback?code=x"]) {{
        fetch(base + path, {{mode: "no-cors"}}).catch(() => 0);
        fetch(base + path, {{method: "POST", mode: "no-cors", body: "x"}}).catch(() => 0);
        new Image().src = base + path;
        const frame = document.createElement("iframe"); frame.src = base + path; document.body.append(frame);
        navigator.sendBeacon(base + path);
      }}
      setTimeout(() => location = base + "/cancel", 300);
    </script>"""

    def fulfil(route: Route) -> None:
        route.fulfill(body=attack, content_type="text/html")

    page.route("http://evil.example/", fulfil)
    page.goto("http://evil.example/")
    page.wait_for_url("**/cancel")
    expect(page.get_by_role("heading", level=1)).to_have_text("This request was refused")
    page.goto(started["authUrl"])
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed in")
    assert completion(client, started["loginId"])["success"]


OURS = {
    "signed in": pages.render_signed_in(),
    "denied": pages.render_denied(Denied("access_denied", HOSTILE)),
    "not entitled": pages.render_not_entitled(),
    "workspace not allowed": pages.render_workspace_not_allowed("Login is restricted to workspace id(s) acct-a."),
    "not saved": pages.render_not_saved("No space left on device (os error 28)"),
    "failed": pages.render_failed(HOSTILE),
    "cancelled": pages.render_cancelled(),
    "wrong link": pages.render_wrong_link(),
    "not found": pages.render_not_found(),
    "refused": pages.render_refused(403),
}


@pytest.mark.parametrize("name", OURS)
def test_every_page_is_for_everybody(browser: Browser, name: str) -> None:
    """No page has a fault that axe finds, light or dark; nothing overflows, wide or narrow; and no script runs."""
    ours = OURS[name]
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))

    def fulfil(route: Route) -> None:
        route.fulfill(status=ours.status, headers=dict(ours.headers), body=ours.body)

    page.route("http://127.0.0.1:1455/", fulfil)
    page.goto("http://127.0.0.1:1455/")
    assert page.evaluate("getComputedStyle(document.body).margin") == "0px"  # so the style is applied
    look_closely(page)
    assert [text for text in complaints if "status of" not in text] == []
    context.close()


def look_closely(page: Page) -> None:
    """See that a page has no fault in either scheme and at either width."""
    for scheme, width in (("light", 1000), ("dark", 320)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # they are the two that there are
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert find_violations(page) == []


def test_the_sandbox_is_for_everybody(client: Client, page: Page) -> None:
    """Its index, the page for a device code in its steps, and the authorize page have no fault either."""
    device = client.call("account/login/start", {"type": "chatgptDeviceCode"})
    page.goto(device["verificationUrl"].removesuffix("/codex/device"))
    look_closely(page)
    page.get_by_role("link", name="Play along").click()
    page.get_by_role("switch", name="Take two seconds").click()
    expect(page.get_by_role("switch", name="Take two seconds")).to_be_checked()
    look_closely(page)
    page.get_by_role("switch", name="Take two seconds").click()
    expect(page.get_by_role("button", name=f"Approve {device['userCode']}")).to_be_visible()
    page.goto(device["verificationUrl"])
    look_closely(page)
    page.get_by_role("textbox").fill(device["userCode"])
    page.get_by_role("button", name="Continue").click()
    look_closely(page)
    page.get_by_role("button", name="Approve").click()
    look_closely(page)
    assert completion(client, device["loginId"])["success"]
    page.goto(start(client)["authUrl"])
    look_closely(page)
