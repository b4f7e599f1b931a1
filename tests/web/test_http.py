"""The HTTP client against real sockets, real TLS and a real proxy, all on loopback."""

from __future__ import annotations

import datetime
import gzip
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import h11
import pytest
import trio
import trio.testing
import trustme

from accountd.errors import RemoteUnreachable
from accountd.web import ca_bundle
from accountd.web.answer import MAX_ANSWER, unfold
from accountd.web.http import open_http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    """Give a certificate authority."""
    return trustme.CA()


@pytest.fixture
def trusting(ca: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """Give an environment that names its certificate."""
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return {"CODEX_CA_CERTIFICATE": str(tmp_path / "ca.pem")}


class Origin:
    """A small HTTP server. `seen` has the requests: method, target and headers."""

    def __init__(self, status: int = 200, body: bytes = b"hello", headers: list[tuple[str, str]] | None = None):
        self.status, self.body, self.headers = status, body, headers or []
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer the one request of a connection."""
        connection = h11.Connection(h11.SERVER)
        async with stream:
            while (event := connection.next_event()) is not h11.PAUSED:
                if event is h11.NEED_DATA:
                    try:
                        connection.receive_data(bytes(await stream.receive_some(65536)))
                    except trio.BrokenResourceError:  # the client did not like our certificate
                        return
                elif isinstance(event, h11.Request):
                    names = {name.decode(): value.decode() for name, value in event.headers}
                    self.seen.append((event.method.decode(), event.target.decode(), names))
                elif isinstance(event, h11.EndOfMessage):
                    headers = [("content-length", str(len(self.body))), ("connection", "close"), *self.headers]
                    head = connection.send(h11.Response(status_code=self.status, headers=headers))
                    body = connection.send(h11.Data(data=self.body))
                    try:
                        await stream.send_all((head or b"") + (body or b""))
                    except trio.BrokenResourceError:  # the client has had enough
                        return
                    return
                elif isinstance(event, h11.ConnectionClosed):
                    return


@asynccontextmanager
async def serving(origin: Origin, certificate: trustme.LeafCert | None = None) -> AsyncIterator[int]:
    """Serve on loopback for the block, and give the port."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        if certificate is None:
            nursery.start_soon(trio.serve_listeners, origin.serve, [listener])
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            secure = trio.SSLListener(listener, context, https_compatible=True)
            nursery.start_soon(trio.serve_listeners, origin.serve, [secure])
        yield port
        nursery.cancel_scope.cancel()


async def test_an_authority_of_ones_own_is_trusted(ca: trustme.CA, trusting: dict[str, str]) -> None:
    """With CODEX_CA_CERTIFICATE a company's or a test's certificates are good."""
    origin = Origin()
    async with (
        serving(origin, ca.issue_cert("127.0.0.1")) as port,
        open_http_client("agent/1", trusting) as http,
    ):
        answer = await http.request("GET", f"https://127.0.0.1:{port}/path", headers={"X-One": "1"})
    assert (answer.status, answer.body) == (200, b"hello")
    ((method, target, headers),) = origin.seen
    assert (method, target) == ("GET", "/path")
    assert headers["user-agent"] == "agent/1"
    assert headers["x-one"] == "1"


@pytest.mark.parametrize("fault", ["unknown authority", "wrong host", "expired"])
async def test_a_certificate_that_is_not_good_is_named(
    fault: str, ca: trustme.CA, trusting: dict[str, str]
) -> None:
    """TLS is never turned off; what is wrong with a certificate is said."""
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = {
        "unknown authority": lambda: trustme.CA().issue_cert("127.0.0.1"),
        "wrong host": lambda: ca.issue_cert("elsewhere.example"),
        "expired": lambda: ca.issue_cert("127.0.0.1", not_before=past, not_after=past + datetime.timedelta(1)),
    }[fault]()
    words = {
        "unknown authority": "unable to get local issuer certificate",
        "wrong host": "IP address mismatch",
        "expired": "certificate has expired",
    }[fault]
    origin = Origin()
    async with serving(origin, certificate) as port, open_http_client("agent/1", trusting) as http:
        with pytest.raises(RemoteUnreachable, match=f"certificate is not trusted .*{words}"):
            await http.request("GET", f"https://127.0.0.1:{port}/")
    assert origin.seen == []


async def test_an_authority_that_the_system_has_learned_of_is_trusted_at_the_next_try(
    ca: trustme.CA, tmp_path: Path
) -> None:
    """A person who is told that a certificate is not trusted adds its authority; the daemon need not start anew."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "system.pem"))
    async with (
        serving(Origin(), ca.issue_cert("127.0.0.1")) as port,
        open_http_client("agent/1", {"SSL_CERT_FILE": str(tmp_path / "system.pem")}) as http,
    ):
        with pytest.raises(RemoteUnreachable, match="certificate is not trusted"):
            await http.request("GET", f"https://127.0.0.1:{port}/")
        ca.cert_pem.write_to_path(str(tmp_path / "system.pem"))
        assert (await http.request("GET", f"https://127.0.0.1:{port}/")).status == 200


async def test_a_system_without_any_authority_is_told_of(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a slim container no certificate can be good: that is what is missing, and none of the issuer's faults."""
    monkeypatch.setattr(ca_bundle, "_BUNDLES", ())
    nowhere = SimpleNamespace(openssl_cafile=str(tmp_path / "none"), openssl_capath=str(tmp_path / "none.d"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    async with (
        serving(Origin(), ca.issue_cert("127.0.0.1")) as port,
        open_http_client("agent/1", {}) as http,
    ):
        with pytest.raises(RemoteUnreachable, match=r"is not trusted .*; this system has no certificates"):
            await http.request("GET", f"https://127.0.0.1:{port}/")


async def test_a_refused_connection_is_said_in_the_systems_words() -> None:
    """Where nobody listens, the error names the host and the reason."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    async with open_http_client("agent/1", {}) as http:
        with pytest.raises(RemoteUnreachable, match=r"^error sending request to 127\.0\.0\.1: .*(refused|failed)"):
            await http.request("POST", f"http://127.0.0.1:{port}/", json={"a": 1})


async def test_bodies_are_sent_as_what_they_are() -> None:
    """JSON and forms each have their content type."""
    origin = Origin()
    async with serving(origin) as port, open_http_client("agent/1", {}) as http:
        await http.request("POST", f"http://127.0.0.1:{port}/", json={"a": 1})
        await http.request("POST", f"http://127.0.0.1:{port}/", form={"a": "1"})
    assert [headers["content-type"] for _, _, headers in origin.seen] == [
        "application/json",
        "application/x-www-form-urlencoded",
    ]


async def test_a_redirect_is_an_answer() -> None:
    """Redirects are not followed: the credentials in a request are for its own host alone."""
    origin = Origin(302, headers=[("location", "http://127.0.0.1:1/")])
    async with serving(origin) as port, open_http_client("agent/1", {}) as http:
        answer = await http.request("GET", f"http://127.0.0.1:{port}/", headers={"Authorization": "Bearer t"})
    assert answer.status == 302
    assert len(origin.seen) == 1


async def test_no_cookie_is_kept_by_itself(
    ca: trustme.CA, trusting: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a host sets is given to who asked; it goes back to no host unless they send it."""
    origin = Origin(headers=[("Set-Cookie", "__cf_bm=1; Path=/"), ("Set-Cookie", "session=1; Domain=.chatgpt.com")])
    async with serving(origin, ca.issue_cert("chatgpt.com", "auth.openai.com")) as port:
        connect = trio.open_tcp_stream
        monkeypatch.setattr(trio, "open_tcp_stream", lambda *_, **__: connect("127.0.0.1", port))
        async with open_http_client("agent/1", trusting) as http:
            for host in ("chatgpt.com", "chatgpt.com", "auth.openai.com"):
                answer = await http.request("GET", f"https://{host}/")
                assert len(answer.set_cookies) == 2
    assert [headers.get("cookie") for _, _, headers in origin.seen] == [None, None, None]


async def test_an_answer_that_is_too_large_is_refused() -> None:
    """Memory is not the other side's to fill."""
    async with serving(Origin(body=b"x" * (MAX_ANSWER + 1))) as port, open_http_client("agent/1", {}) as http:
        with pytest.raises(RemoteUnreachable, match=f"larger than {MAX_ANSWER} bytes"):
            await http.request("GET", f"http://127.0.0.1:{port}/")


async def test_one_compression_is_undone_and_no_two() -> None:
    """A proxy may add one; what claims several unfolds to anything."""
    once = gzip.compress(b"hello")
    for body, encoding in ((once, "gzip"), (gzip.compress(once), "gzip, gzip")):
        origin = Origin(body=body, headers=[("Content-Encoding", encoding)])
        async with serving(origin) as port, open_http_client("agent/1", {}) as http:
            if body is once:
                assert (await http.request("GET", f"http://127.0.0.1:{port}/")).body == b"hello"
            else:
                with pytest.raises(RemoteUnreachable, match="in an encoding that was not asked for"):
                    await http.request("GET", f"http://127.0.0.1:{port}/")


def test_what_unfolds_is_unfolded_no_further_than_what_is_too_large() -> None:
    """Some kilobytes that would be gigabytes are not; and of what is cut off, nothing is an answer."""
    folded = gzip.compress(bytes(4 * MAX_ANSWER))
    assert len(unfold(folded, "gzip", "issuer.example")) == MAX_ANSWER + 1
    with pytest.raises(RemoteUnreachable, match="ends in the middle"):
        unfold(gzip.compress(b"hello")[:-4], "gzip", "issuer.example")
    with pytest.raises(RemoteUnreachable, match="is not the gzip that it says it is"):
        unfold(b"hello", "gzip", "issuer.example")


def test_what_needs_no_unfolding_is_as_it_came() -> None:
    """Of no bytes nobody asks in which encoding they are; and gzip has two names."""
    assert unfold(b"", "br", "issuer.example") == b""
    assert unfold(gzip.compress(b"hello"), "x-gzip", "issuer.example") == b"hello"


async def test_a_proxy_with_tls_is_trusted_as_the_issuer_is(
    ca: trustme.CA, trusting: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an authority of one's own, too; and nobody has the keys to read what it is told, such as its password."""
    proxy = Origin(502)
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    async with serving(proxy, ca.issue_cert("127.0.0.1")) as port:
        environ = {"HTTPS_PROXY": f"https://user:canary-password@127.0.0.1:{port}"}
        for trusted, words in ((trusting, "it answers 502 Bad Gateway"), ({}, "its certificate is not trusted")):
            async with open_http_client("agent/1", {**environ, **trusted}) as http:
                shown = rf"issuer\.invalid: the proxy https://127\.0\.0\.1:{port} of HTTPS_PROXY: {words}"
                with pytest.raises(RemoteUnreachable, match=shown):
                    await http.request("GET", "https://issuer.invalid/")
    assert [method for method, _, _ in proxy.seen] == ["CONNECT"]
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://127.0.0.2:1/",
        "http://[0:0:0:0:0:0:0:1]:1/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://LOCALHOST:1/",
        "HTTP://issuer.invalid/",
        "https://127.0.0.2:1/",
        "https://[0:0:0:0:0:0:0:1]:1/",
    ],
)
async def test_no_proxy_hears_of_this_machine_or_of_plain_http(url: str, variable: str) -> None:
    """However loopback is written, and wherever plain HTTP is to go: the request goes directly, or not at all."""
    proxy = Origin()
    async with serving(proxy) as port:
        async with open_http_client("agent/1", {variable: f"http://127.0.0.1:{port}"}) as http:
            with pytest.raises(RemoteUnreachable):
                await http.request("GET", url, headers={"Authorization": "Bearer token"})
    assert proxy.seen == []


async def test_a_request_can_be_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelling ends a request that is waiting for its answer."""

    async def sleep(_stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, sleep, [listener])
        async with open_http_client("agent/1", {}) as http:
            with trio.move_on_after(5) as scope:
                await http.request("GET", f"http://127.0.0.1:{listener.socket.getsockname()[1]}/")
        assert scope.cancelled_caught
        nursery.cancel_scope.cancel()


@pytest.mark.process
def test_httpx_is_not_imported_before_it_is_used() -> None:
    """The daemon's modules are loaded without httpx, TLS trust and WebSocket; each costs start-up and memory."""
    heavy = "{'httpx', 'httpcore', 'truststore', 'wsproto', 'anyio', 'h11', 'asyncio'}"
    code = f"import accountd.daemon, sys; print(*({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
