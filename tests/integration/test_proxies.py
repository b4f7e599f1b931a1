"""A login, a refresh and a logout of a real daemon by each kind of proxy; and what is said of one that fails."""

from __future__ import annotations

import base64
import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import CallFailed
from compat.issuer import open_tunnel, serve_issuer
from fakes.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trio

    from compat.issuer import OpenTunnel

PASSWORD = "pa:ss/w@rd"  # that of a test
WRITTEN = "ada:pa%3Ass%2Fw%40rd@"


async def open_with_password(stream: trio.SocketStream) -> str | None:
    """Take a CONNECT of somebody who has the password."""
    wanted = base64.b64encode(f"ada:{PASSWORD}".encode())
    head = await peek(stream)
    if b"Proxy-Authorization: Basic " + wanted not in head:
        await stream.send_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return None
    return await open_tunnel(stream)


async def peek(stream: trio.SocketStream) -> bytes:
    """Read the first of what comes, and leave it there."""
    await stream.socket.recv(1, socket.MSG_PEEK)
    return await stream.socket.recv(65_536, socket.MSG_PEEK)


async def open_socks(stream: trio.SocketStream) -> str | None:
    """Open as SOCKS does (RFC 1928), with user and password (RFC 1929) if they are offered."""
    methods = bytes(await stream.receive_some())
    if 2 in methods[2:]:
        await stream.send_all(b"\x05\x02")
        user, word = b"ada", PASSWORD.encode()
        said = bytes(await stream.receive_some())
        assert said == b"\x01" + bytes([len(user)]) + user + bytes([len(word)]) + word
        await stream.send_all(b"\x01\x00")
    else:
        await stream.send_all(b"\x05\x00")
    request = bytes(await stream.receive_some())
    assert request[:4] == b"\x05\x01\x00\x03"
    await stream.send_all(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
    return request[5 : 5 + request[4]].decode()


def answering(answer: bytes) -> OpenTunnel:
    """Make a proxy that opens nothing, and says this."""

    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)

    return refuse


@contextmanager
def short_folder() -> Iterator[Path]:
    """Give a folder that leaves room for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="accountd-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("scheme", "opening", "variable", "named"),
    [
        ("http://", open_tunnel, "https_proxy", "CODEX_CA_CERTIFICATE"),
        (f"http://{WRITTEN}", open_with_password, "HTTPS_PROXY", "SSL_CERT_FILE"),
        ("socks5://", open_socks, "ALL_PROXY", "SSL_CERT_DIR"),
        (f"socks5h://{WRITTEN}", open_socks, "all_proxy", "CODEX_CA_CERTIFICATE"),
    ],
)
def test_a_login_a_refresh_and_a_logout_go_through(
    scheme: str, opening: OpenTunnel, variable: str, named: str
) -> None:
    """By each kind of proxy, each of which breaks TLS here; its authority is named in each of the ways."""
    with short_folder() as home, serve_issuer(home, opening) as served:
        (home / "folder").mkdir()
        shutil.copy(served.ca_file, home / "folder" / "corporate.crt")
        place = served.proxy.removeprefix("http://")
        environ = {
            variable: f"{scheme}{place}\r",  # as of a file that was written on Windows
            "NO_PROXY": "localhost,[::1],10.0.0.0/99,other.test",
            "http_proxy": "nonsense://nowhere",
            named: str(home / "folder" if named == "SSL_CERT_DIR" else served.ca_file),
        }
        if variable == "https_proxy":  # which `.env` says as well
            (home / ".env").write_text(f"{variable}={environ[variable]}\n")
            environ[variable] = "http://127.0.0.1:1"
        with running(home, **environ) as daemon, daemon.connect() as client:
            with client.login_device_code() as login:
                login.wait(20)
            assert client.read_account(refresh=True)["account"] is not None
            client.logout()
            told = client.call("accountd/status")["environment"]
        paths = [asked.path for asked in served.issuer.asked if asked.host == "auth.openai.com"]
        assert paths.count("/oauth/token") >= 2
        assert paths[-1] == "/oauth/revoke"
        assert PASSWORD not in str(told)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            b"HTTP/1.1 407 Who\r\n\r\n",
            "it answers 407 Proxy Authentication Required; its user and password go into",
        ),
        (b"HTTP/1.1 403 No\r\n\r\n", "it answers 403 Forbidden"),
        (b"HTTP/1.1 502 No\r\n\r\n", "it answers 502 Bad Gateway"),
        (b"SSH-2.0-OpenSSH_9\r\n", "the connection was cut off, or what came is not HTTP"),
        (b"", "the connection was cut off, or what came is not HTTP"),
    ],
)
def test_a_proxy_that_fails_is_told_as_the_proxys_fault(answer: bytes, words: str) -> None:
    """With its place and the variable that names it, and without its password."""
    with short_folder() as home, serve_issuer(home, answering(answer)) as served:
        place = served.proxy.removeprefix("http://")
        assert find_complaint(home, f"http://{WRITTEN}{place}", words) == place


def test_a_proxy_that_cannot_be_reached_is_told_likewise() -> None:
    """Nobody listens there, nobody has its name, or what listens is no SOCKS."""
    with short_folder() as home, serve_issuer(home, answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as served:
        place = served.proxy.removeprefix("http://")
        find_complaint(home, f"socks5://{place}", "what came is not SOCKS")
    find_complaint(home, f"http://{place}", "Connection refused (os error 111)")
    find_complaint(home, "http://no-such-proxy.invalid:3128", "its name could not be looked up")


def find_complaint(home: Path, proxy: str, words: str) -> str:
    """Have a login fail for its proxy, and give the place that the error names."""
    with running(home, HTTPS_PROXY=proxy) as daemon, daemon.connect() as client:
        with pytest.raises(CallFailed) as caught:
            client.login_device_code()
    complaint = str(caught.value)
    before, _, after = complaint.partition(" of HTTPS_PROXY: ")
    assert words in after
    assert PASSWORD not in complaint
    assert WRITTEN not in complaint
    return before.rpartition("//")[2]
