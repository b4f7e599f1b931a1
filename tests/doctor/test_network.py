"""Proxy, certificates, endpoints and clock, as far as they can be told without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from accountd.doctor.network import check_backend, check_ca, check_clock, check_issuer, check_proxy
from accountd.errors import RemoteUnreachable
from accountd.web.answer import HttpAnswer
from accountd.web.ca_bundle import Trust
from fakes.surroundings import surroundings

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_is_no_proxy_is_told_by_its_variable(tmp_path: Path) -> None:
    """And no request is tried, since none can be sent."""
    made_up = surroundings(tmp_path, environ={"HTTPS_PROXY": "nonsense://p"})
    found = await check_proxy(made_up)
    assert (found.verdict, found.remedy) == ("fail", "set HTTPS_PROXY to http://HOST:PORT, or unset it")
    assert (await check_issuer(made_up)).remedy == "see network.proxy first"


async def test_a_proxy_is_told_of(tmp_path: Path) -> None:
    """Which, and by which variable; or that there is none."""
    found = await check_proxy(surroundings(tmp_path, environ={"HTTPS_PROXY": "http://ada:s3cret@p:1"}))
    assert (found.verdict, "the proxy http://p:1 of HTTPS_PROXY" in found.summary) == ("ok", True)
    assert (await check_proxy(surroundings(tmp_path))).verdict == "ok"


async def test_a_file_of_certificates_is_read(tmp_path: Path) -> None:
    """How many it has is told, and of which variable it is; CODEX_CA_CERTIFICATE goes first."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    environ = {"CODEX_CA_CERTIFICATE": str(tmp_path / "ca.pem"), "SSL_CERT_FILE": "/nonexistent"}
    found = await check_ca(surroundings(tmp_path, environ=environ))
    assert (found.verdict, found.details["variable"]) == ("ok", "CODEX_CA_CERTIFICATE")
    assert found.summary.startswith("1 of ")
    assert (await check_ca(surroundings(tmp_path))).verdict == "ok"


async def test_a_system_without_authorities_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a slim container: that is what to mend, and no certificate of the issuer's is to be trusted for it."""
    monkeypatch.setattr(Trust, "is_empty", lambda _: True)
    made_up = surroundings(tmp_path)
    found = await check_ca(made_up)
    assert (found.verdict, found.summary) == ("fail", "this system has no certificates of authorities")
    assert (await check_issuer(made_up)).remedy == "see network.ca first"


@pytest.mark.parametrize("content", [None, b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nx\n"])
async def test_a_file_of_certificates_that_has_none_is_a_failure(tmp_path: Path, content: bytes | None) -> None:
    """And then no request is tried, since none can be sent."""
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    made_up = surroundings(tmp_path, environ={"SSL_CERT_FILE": str(tmp_path / "ca.pem")})
    found = await check_ca(made_up)
    assert (found.verdict, "SSL_CERT_FILE" in (found.remedy or "")) == ("fail", True)
    assert (await check_backend(made_up)).remedy == "see network.ca first"


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, "ok"), (401, "ok"), (403, "ok"), (404, "ok"), (407, "fail"), (503, "warn")]
)
async def test_any_answer_will_do_but_of_a_server_in_trouble(tmp_path: Path, status: int, verdict: str) -> None:
    """Whoever asks is not logged in, and so may well be refused; a proxy's own refusal is none of the server's."""
    made_up = surroundings(tmp_path, answer=HttpAnswer(status, "", b""))
    assert (await check_issuer(made_up)).verdict == verdict
    assert (await check_backend(made_up)).verdict == verdict


@pytest.mark.parametrize(
    ("date", "verdict", "text"),
    [
        ("Fri, 15 Jan 2027 08:00:59 GMT", "ok", "within 60 s of the issuer's"),
        ("Fri, 15 Jan 2027 08:01:00 GMT", "warn", "60 s behind the issuer's"),
        ("Fri, 15 Jan 2027 07:50:00 GMT", "warn", "600 s ahead of the issuer's"),
        ("", "ok", "the issuer does not say what time it is"),
        ("yesterday", "ok", "the issuer does not say what time it is"),
        ("Fri, 15 Jan 9999999999 08:00:00 GMT", "ok", "the issuer does not say what time it is"),
    ],
)
async def test_the_clock_is_the_issuers(tmp_path: Path, date: str, verdict: str, text: str) -> None:
    """A minute is told of, with its direction; a server that does not tell the time is no fault."""
    found = await check_clock(surroundings(tmp_path, answer=HttpAnswer(200, "", b"", date)))
    assert (found.verdict, found.summary) == (verdict, text)


async def test_without_an_answer_there_is_no_time(tmp_path: Path) -> None:
    """That is told, and where to look first."""
    found = await check_clock(surroundings(tmp_path, answer=RemoteUnreachable("down")))
    assert (found.verdict, found.remedy) == ("warn", "see network.issuer first")
