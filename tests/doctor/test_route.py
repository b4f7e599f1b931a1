"""Where a request got stuck, on real sockets of loopback: the real error of the real client, and then the way."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
import trio
import trustme

from accountd.doctor import route
from accountd.doctor.certificate import read_issuer
from accountd.doctor.route import Fault, find_fault
from accountd.errors import RemoteUnreachable
from accountd.web.http import open_http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    Serve = Callable[[trio.abc.Stream], Awaitable[None]]

ISSUER = "https://auth.openai.com"
CA = trustme.CA(organization_name="Example Corp Inspection")


def secure(stream: trio.abc.Stream, *names: str) -> trio.SSLStream[trio.abc.Stream]:
    """Speak TLS as one whom nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(*names).configure_cert(context)
    return trio.SSLStream(stream, context, server_side=True, https_compatible=True)


async def serve_tls(stream: trio.abc.Stream, *names: str) -> None:
    """Shake hands, and no more."""
    with suppress(trio.BrokenResourceError):
        await secure(stream, *names).do_handshake()


async def serve_loopback(stream: trio.abc.Stream) -> None:
    """Shake hands as this machine."""
    await serve_tls(stream, "127.0.0.1")


async def serve_text(stream: trio.abc.Stream, answer: bytes) -> None:
    """Answer whatever comes, once."""
    with suppress(trio.BrokenResourceError):
        await stream.receive_some(65536)
        await stream.send_all(answer)


async def serve_proxy(stream: trio.abc.Stream) -> None:
    """Open a tunnel, and look into it: TLS by a certificate of one's own."""
    with suppress(trio.BrokenResourceError):
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await serve_tls(stream, "auth.openai.com")


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """Serve on a free port of loopback, and give it."""

    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            await serve(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def fault_of(url: str, environ: Mapping[str, str] = MappingProxyType({})) -> Fault:
    """Send a request that must fail, and find out where."""
    async with open_http_client("tests", environ) as http:
        with pytest.raises(RemoteUnreachable) as caught:
            await http.request("GET", url)
    return await find_fault(url, environ, caught.value)


async def test_a_name_that_nobody_knows() -> None:
    """No address: the network, or its name server."""
    fault = await fault_of("https://no-such-host.invalid")
    assert fault.stage == "name"
    assert fault.text.startswith("no-such-host.invalid has no address: ")


async def test_nobody_listens() -> None:
    """The system's word for it, without numbers that say nothing."""
    async with serving(serve_tls) as port:
        pass  # it was free a moment ago
    fault = await fault_of(f"https://127.0.0.1:{port}")
    assert (fault.stage, fault.text) == (
        "connection",
        f"127.0.0.1, port {port}, cannot be reached: Connection refused",
    )


async def test_who_listens_does_not_speak_tls() -> None:
    """Some middle box, or the wrong port."""
    async with serving(partial(serve_text, answer=b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        fault = await fault_of(f"https://127.0.0.1:{port}")
    assert fault.stage == "tls"
    assert "does not speak TLS" in fault.text


async def test_a_certificate_that_nobody_trusts_is_named_by_its_signer() -> None:
    """Who inspects the traffic has a name, which the remedy repeats."""
    async with serving(serve_loopback) as port:
        fault = await fault_of(f"https://127.0.0.1:{port}")
    assert fault.stage == "tls"
    assert fault.text.endswith("; it is signed by Example Corp Inspection")
    assert fault.remedy.startswith("if you trust Example Corp Inspection, ")


async def test_a_certificate_of_somebody_else(tmp_path: Path) -> None:
    """One that is trusted, and is for another name: no certificate will help."""

    async def serve(stream: trio.abc.Stream) -> None:
        await serve_tls(stream, "elsewhere.example.com")

    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serving(serve) as port:
        fault = await fault_of(f"https://127.0.0.1:{port}", {"CODEX_CA_CERTIFICATE": str(tmp_path / "ca.pem")})
    assert fault.stage == "tls"
    assert fault.remedy.startswith("see who answers for 127.0.0.1 here")


async def test_who_hangs_up_is_told_of_as_http() -> None:
    """A connection that ends without an answer, though all before it went well."""
    async with serving(partial(serve_text, answer=b"")) as port:
        fault = await fault_of(f"http://127.0.0.1:{port}")
    assert fault.stage == "http"


async def proxied(proxy: str) -> Fault:
    """Send a request to the issuer through a proxy."""
    return await fault_of(ISSUER, {"HTTPS_PROXY": proxy})


async def test_a_proxy_that_cannot_be_reached() -> None:
    """It is the proxy that is named, and its variable; without its password."""
    async with serving(serve_tls) as port:
        pass
    fault = await proxied(f"http://ada:s3cret@127.0.0.1:{port}")
    assert fault.stage == "connection"
    assert fault.text == f"the proxy http://127.0.0.1:{port} of HTTPS_PROXY cannot be reached: Connection refused"
    assert fault.remedy == "correct HTTPS_PROXY, or unset it"
    named = await proxied("http://no-such-proxy.invalid:3128")
    assert named.stage == "name"


@pytest.mark.parametrize(
    ("answer", "said", "remedy"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "answers 407",
            "put user and password into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            "answers 403",
            "correct HTTPS_PROXY, or have the proxy let auth.openai.com through",
        ),
        (
            b"SSH-2.0-OpenSSH_9\r\n\r\n",
            "does not answer as a proxy does",
            "correct HTTPS_PROXY, or have the proxy let auth.openai.com through",
        ),
    ],
)
async def test_a_proxy_that_refuses(answer: bytes, said: str, remedy: str) -> None:
    """What it answers is told, and whether it wants a password."""
    async with serving(partial(serve_text, answer=answer)) as port:
        fault = await proxied(f"http://127.0.0.1:{port}")
    assert (fault.stage, said in fault.text, fault.remedy) == ("proxy", True, remedy)


async def test_a_proxy_that_looks_into_the_traffic_is_named() -> None:
    """Its certificate for the issuer is signed by the company: that name is what the person needs to hear."""
    async with serving(serve_proxy) as port:
        fault = await proxied(f"http://127.0.0.1:{port}")
    assert fault.stage == "tls"
    assert "the certificate of auth.openai.com is not trusted" in fault.text
    assert "signed by Example Corp Inspection" in fault.text


async def test_a_proxy_of_another_kind_is_not_gone_through() -> None:
    """Through SOCKS nobody looks: what the request itself said is told."""
    async with serving(partial(serve_text, answer=b"")) as port:
        environ = {"HTTPS_PROXY": f"socks5://127.0.0.1:{port}"}
        fault = await find_fault(ISSUER, environ, RemoteUnreachable("no SOCKS here"))
    assert (fault.stage, "no SOCKS here" in fault.text) == ("proxy", True)


async def test_a_step_that_takes_too_long_ends(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """A name server that is silent is told of, and so is who takes the connection and says nothing."""

    async def never(*_: object, **__: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(trio.socket, "getaddrinfo", never)
    fault = await find_fault(ISSUER, {}, RemoteUnreachable("slow"))
    assert fault.text == f"auth.openai.com has no address: no name server answers within {route._PATIENCE:.0f} s"


def test_a_signer_is_read_from_any_certificate() -> None:
    """It is the one who signed this very certificate, be it the company or a branch of it."""
    branch = CA.create_child_ca()
    for signer, name in ((CA, "Example Corp Inspection"), (branch, "trustme")):
        pem = signer.issue_cert("a.example.com").cert_chain_pems[0].bytes().decode()
        assert (read_issuer(ssl.PEM_cert_to_DER_cert(pem)) or "").startswith(name)


@pytest.mark.parametrize(
    "der", [b"", b"\x30", b"\x30\x82\xff\xff", b"\x30\x03\x30\x01\x00", b"\x30\x00", b"\x02\x01\x01"]
)
def test_what_is_no_certificate_has_no_signer(der: bytes) -> None:
    """Nothing is raised, whatever it is."""
    assert read_issuer(der) is None


def test_a_certificate_that_is_cut_or_garbled_is_no_crash() -> None:
    """Every shorter piece of one, and every byte of one changed, gives a name or none."""
    der = ssl.PEM_cert_to_DER_cert(CA.issue_cert("a.example.com").cert_chain_pems[0].bytes().decode())
    for length in range(len(der)):
        read_issuer(der[:length])
        read_issuer(der[:length] + bytes([der[length] ^ 0xFF]) + der[length + 1 :])
