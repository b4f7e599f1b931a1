"""`/sandbox/…`, and who may use it."""

from __future__ import annotations

import msgspec
import pytest

from accountd.sandbox import Fault, Sandbox, Script
from sandbox.caller import Caller, error_code, read

CONTROL = [
    ("GET", "/sandbox/script"),
    ("POST", "/sandbox/script"),
    ("GET", "/sandbox/requests"),
    ("POST", "/sandbox/reset"),
]


async def test_the_script_is_changed_and_read(caller: Caller) -> None:
    """POST merges a JSON object into the script, of whatever Content-Type; it and GET answer with the whole."""
    answer = read(await caller.send("POST", "/sandbox/script", b'{"deny": true, "interval": 2}'))
    assert caller.sandbox.script == Script(deny=True, interval=2)
    assert read(await caller.get("/sandbox/script")) == answer
    assert msgspec.convert(answer, Script) == caller.sandbox.script


async def test_a_wrong_key_is_named_and_changes_nothing(caller: Caller) -> None:
    """A script with a wrong key gets 400 with the key's name, and none of it is taken."""
    answer = await caller.post("/sandbox/script", {"deny": True, "interwal": 5})
    assert "interwal" in read(answer, 400)["error_description"]
    assert caller.sandbox.script == Script()


async def test_a_new_script_counts_anew(caller: Caller) -> None:
    """`nth` counts from the moment at which the script was set."""
    faults = {"faults": [{"path": "/", "nth": 2, "status": 500}]}
    await caller.post("/sandbox/script", faults)
    assert [(await caller.get("/")).status for _ in range(3)] == [200, 500, 200]
    await caller.post("/sandbox/script", faults)
    assert [(await caller.get("/")).status for _ in range(3)] == [200, 500, 200]


async def test_requests_are_logged_without_their_secrets(caller: Caller) -> None:
    """The log has method, path, status and time of each request but its own, and nothing that was in it."""
    tokens = await caller.log_in()
    await caller.usage(tokens["access_token"])
    log = msgspec.json.decode((await caller.get("/sandbox/requests")).body)
    assert [(entry["method"], entry["path"], entry["status"]) for entry in log] == [
        ("POST", "/api/accounts/deviceauth/usercode", 200),
        ("POST", "/api/accounts/deviceauth/token", 200),
        ("POST", "/oauth/token", 200),
        ("GET", "/backend-api/wham/usage", 200),
    ]
    assert all(set(entry) == {"at", "method", "path", "status"} for entry in log)


async def test_the_log_is_bounded(caller: Caller) -> None:
    """A thousand requests are kept, with the first 200 characters of their paths."""
    for number in range(1001):
        await caller.get(f"/{number}/" + "x" * 1000)
    log = caller.sandbox.requests
    assert (len(log), len(log[0].path), log[0].path[:3]) == (1000, 200, "/1/")


async def test_a_reset_forgets_everything() -> None:
    """After a reset the first script holds again, and no token or code of before is known."""
    caller = Caller(Sandbox(Script(interval=9)))
    tokens, login = await caller.log_in(), await caller.start_login()
    caller.sandbox.script = Script(deny=True)
    read(await caller.post("/sandbox/reset", {}))
    assert caller.sandbox.script == Script(interval=9)
    assert caller.sandbox.requests == []
    assert (await caller.usage(tokens["access_token"])).status == 401
    assert error_code(await caller.poll(login)) == "invalid_grant"


@pytest.mark.parametrize(("method", "path"), CONTROL)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8000"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
async def test_no_web_page_scripts_the_sandbox(
    caller: Caller, method: str, path: str, headers: dict[str, str]
) -> None:
    """A request with an Origin, or from another site, gets 403 and has no effect."""
    answer = await caller.send(method, path, b'{"deny": true}', **headers)
    assert (answer.status, error_code(answer)) == (403, "forbidden")
    assert caller.sandbox.script == Script()


async def test_a_person_may_look_at_the_script(caller: Caller) -> None:
    """A browser in which the address was typed, or followed from our own page, is shown it."""
    for site in ("none", "same-origin"):
        assert (await caller.get("/sandbox/script", sec_fetch_site=site)).status == 200


async def test_the_control_endpoints_cannot_be_locked(caller: Caller) -> None:
    """Faults do not concern the paths by which they are taken away again."""
    caller.sandbox.script = Script(faults=(Fault(path="/sandbox/script", nth=1, status=0),))
    assert (await caller.get("/sandbox/script")).status == 200
