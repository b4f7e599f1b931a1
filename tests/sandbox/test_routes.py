"""The table, and what is not in it."""

from __future__ import annotations

import httpx
import pytest
import trio

from accountd.sandbox import ConnectionDropped, Fault, Request, Sandbox, Script
from sandbox.caller import Caller


@pytest.mark.parametrize("path", ["", "/nope", "*", "/codex/device/", "/CODEX/DEVICE", "/../codex/device"])
async def test_an_unknown_path_is_not_found(caller: Caller, path: str) -> None:
    """What is not in the table, letter for letter, gets 404."""
    assert (await caller.get(path)).status == 404


async def test_a_wrong_method_is_told_the_right_ones(caller: Caller) -> None:
    """A path that knows other methods answers 405 and names them (RFC 9110 section 15.5.6)."""
    answer = await caller.get("/oauth/token")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    answer = await caller.send("DELETE", "/codex/device")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


async def test_head_is_answered_like_get(caller: Caller) -> None:
    """HEAD has the status and headers of GET."""
    head, get = await caller.send("HEAD", "/codex/device"), await caller.get("/codex/device")
    assert (head.status, head.headers) == (get.status, get.headers)


def test_only_issued_codes_can_be_decided() -> None:
    """`decide` raises LookupError for a code that was never issued."""
    with pytest.raises(LookupError):
        Sandbox().decide("BCDF-GHJK", approve=True)


async def test_it_plugs_into_httpx(autojump_clock: trio.testing.MockClock) -> None:
    """An httpx client speaks to a sandbox in memory: delays by trio's clock, and drops as transport errors."""
    sandbox = Sandbox(Script(delay=60, faults=(Fault(path="/codex/device", nth=2, status=0),)))

    async def handle(request: httpx.Request) -> httpx.Response:
        url = request.url
        try:
            answer = await sandbox.respond(
                Request(
                    request.method,
                    url.path,
                    url.query.decode(),
                    dict(request.headers),
                    await request.aread(),
                    url.scheme,
                )
            )
        except ConnectionDropped:
            raise httpx.RemoteProtocolError("dropped", request=request) from None
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    transport = httpx.MockTransport(handle)
    async with httpx.AsyncClient(transport=transport, base_url="https://issuer.example") as client:
        begin = trio.current_time()
        assert (await client.get("/codex/device")).status_code == 200
        assert trio.current_time() - begin == pytest.approx(60)
        with pytest.raises(httpx.TransportError):
            await client.get("/codex/device")
