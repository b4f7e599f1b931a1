"""The internet of a benchmark: a proxy behind which the issuer is the sandbox, whatever host is asked for.

The real app-server knows its issuer by heart. So every server is sent through HTTPS_PROXY, and trusts an authority
that is made for the occasion, by CODEX_CA_CERTIFICATE. Nothing leaves the machine.

    python issuer.py CERTIFICATE [--wait]
"""

from __future__ import annotations

import argparse
import ssl
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import h11
import trio

from accountd.sandbox import Request, Sandbox, Script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accountd.sandbox import Response

_HOSTS: Final = ("auth.openai.com", "chatgpt.com")


@contextmanager
def issuing(*options: str) -> Iterator[dict[str, str]]:
    """Run an issuer for the block, and give the environment that leads to it; `--wait` lets all logins wait."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        certificate = str(Path(folder, "ca.pem"))
        command = [sys.executable, "-P", __file__, certificate, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                proxy = f"http://127.0.0.1:{int(process.stdout.readline())}" if process.stdout else ""
                yield {
                    **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy),
                    **dict.fromkeys(("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"), certificate),
                    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
                }
            finally:
                process.kill()


def main() -> None:
    """Write the certificate, print the port, and serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("certificate", metavar="FILE", help="where to write the authority that clients must trust")
    parser.add_argument("--wait", action="store_true", help="let every login wait")
    args = parser.parse_args()
    # Approved by the first poll, which may come as soon as the server likes.
    script = Script(interval="5") if args.wait else Script(interval="0", approve_after_polls=0)
    trio.run(_serve, Sandbox(script), args.certificate)


async def _serve(sandbox: Sandbox, certificate: str) -> None:
    import trustme  # of the development's dependencies

    authority = trustme.CA()
    authority.cert_pem.write_to_path(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*_HOSTS).configure_cert(context)

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, h11.RemoteProtocolError):  # the client has left
            await _proxy(sandbox, stream, context)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    print(listeners[0].socket.getsockname()[1], flush=True)
    await trio.serve_listeners(serve, listeners)


async def _proxy(sandbox: Sandbox, stream: trio.SocketStream, context: ssl.SSLContext) -> None:
    """Accept a CONNECT to anywhere, and be there."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = await stream.receive_some()
        if not data:
            return
        head += data
    await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
    async with trio.SSLStream(stream, context, server_side=True, https_compatible=True) as tunnel:
        connection = h11.Connection(h11.SERVER)
        while (request := await _receive(connection, tunnel)) is not None:
            await _answer(connection, tunnel, await sandbox.respond(request))
            if connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()


async def _receive(connection: h11.Connection, tunnel: trio.SSLStream[trio.SocketStream]) -> Request | None:
    """Give the next request, None at the end."""
    head: h11.Request | None = None
    body = b""
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(bytes(await tunnel.receive_some()))
            case h11.Request() as head:
                pass
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage() if head is not None:
                headers = {name.decode(): value.decode() for name, value in head.headers}
                path, _, query = head.target.decode().partition("?")
                return Request(head.method.decode(), path, query, headers, body, "https")
            case _:
                return None


async def _answer(
    connection: h11.Connection, tunnel: trio.SSLStream[trio.SocketStream], response: Response
) -> None:
    """Send a response, with its pieces as each comes to be."""
    headers = [*response.headers.items()]
    if response.pieces is None:  # pieces go in chunks, by which h11 says where they end
        headers.append(("content-length", str(len(response.body))))
    begun = connection.send(h11.Response(status_code=response.status, headers=headers)) or b""
    for piece in response.pieces if response.pieces is not None else (response.body,):
        await tunnel.send_all(begun + (connection.send(h11.Data(data=piece)) or b""))
        await trio.sleep(response.pause)
        begun = b""
    await tunnel.send_all(begun + (connection.send(h11.EndOfMessage()) or b""))


if __name__ == "__main__":
    main()
