"""The blocking client against a scripted server: what comes back, and what goes wrong in which words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from accountd import __version__
from accountd.client import blocking_connection, unix_socket
from accountd.client.blocking import Client, Notification
from accountd.client.errors import (
    CallFailed,
    CallTimedOut,
    ConnectionLost,
    DaemonUnreachable,
    Interrupted,
    NothingListens,
)
from accountd.system.peer_credentials import Peer
from fakes.app_server import AppServer, Raw, Refusal, Then

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the server of a test listens."""
    return tmp_path / "s"


def test_it_introduces_itself(path: Path) -> None:
    """The first message is `initialize`, with the client's name and the extension; then `initialized`."""
    with AppServer(path, {"ping": {}}) as server, Client(path) as client:
        client.call("ping")
        assert server.requests[0]["params"] == {
            "clientInfo": {"name": "accountd-client", "title": "accountd-client", "version": __version__},
            "capabilities": {"experimentalApi": True, "extensions": {"accountd": {}}},
        }
        assert server.requests[1] == {"method": "initialized"}
        assert client.server["codexHome"] == "/home/someone/.codex"


def test_a_call_gives_its_result(path: Path) -> None:
    """The result object comes back as a dict, and the params went out as they were given."""
    with AppServer(path, {"echo": lambda params: {"got": params}}) as server, Client(path) as client:
        assert client.call("echo", {"text": "zwölf\n"}) == {"got": {"text": "zwölf\n"}}
        assert client.call("echo") == {"got": {}}
        assert "params" not in server.requests[-1]


def test_an_error_is_raised_and_the_connection_goes_on(path: Path) -> None:
    """A JSON-RPC error becomes CallFailed with its code and message; the next call is answered."""
    with AppServer(path, {"no": Refusal(-32600, "not today"), "yes": {}}) as server, Client(path) as client:
        with pytest.raises(CallFailed, match=r"^not today$") as failure:
            client.call("no")
        assert (failure.value.code, failure.value.message) == (-32600, "not today")
        assert client.call("yes") == {}
        assert server.methods == ["no", "yes"]


def test_answers_may_come_in_any_order(path: Path) -> None:
    """Two requests that were sent ahead are matched with their answers by id."""
    answers = iter([None, Raw(b'{"id":3,"result":{"n":3}}\n{"id":2,"result":{"n":2}}\n')])
    with AppServer(path, {"n": lambda _: next(answers)}), Client(path) as client:
        first, second = client.send("n"), client.send("n")
        assert client.wait_response(first) == {"n": 2}
        assert client.wait_response(second) == {"n": 3}


def test_notifications_that_come_during_a_call_are_kept(path: Path) -> None:
    """What the server says before it answers can be had afterwards, oldest first."""
    said = (("one", {"n": 1}), ("two", {"n": 2}))
    with AppServer(path, {"ping": Then({}, said, before=True)}), Client(path) as client:
        client.call("ping")
        assert list(client.notifications(timeout=0)) == [
            Notification("one", {"n": 1}),
            Notification("two", {"n": 2}),
        ]


def test_a_notification_is_waited_for_as_long_as_was_said(path: Path) -> None:
    """Without one, the wait ends with None; with one, at once."""
    with AppServer(path) as server, Client(path) as client:
        assert client.next_notification(0.01) is None
        server.notify("account/updated", {"authMode": None})
        assert client.next_notification(10) == Notification("account/updated", {"authMode": None})


def test_a_late_answer_is_dropped(path: Path) -> None:
    """A call that timed out says so; its answer does not disturb the calls after it."""
    with AppServer(path, {"slow": None, "ping": {"pong": True}}) as server, Client(path) as client:
        with pytest.raises(CallTimedOut, match=r"did not answer within 0\.01 seconds"):
            client.call("slow", timeout=0.01)
        server.send(b'{"id":2,"result":{"late":true}}\n')
        assert client.call("ping") == {"pong": True}
        assert not client._responses


def test_requests_of_the_daemon_are_passed_over(path: Path) -> None:
    """A request of the server's, which only owners of external tokens get, disturbs nothing."""
    asked = Raw(b'{"id":2,"method":"account/chatgptAuthTokens/refresh"}\n{"id":2,"result":{}}\n')
    with AppServer(path, {"ping": asked}), Client(path) as client:
        assert client.call("ping") == {}
        assert client.next_notification(0) is None


def test_messages_may_be_cut_anywhere(path: Path) -> None:
    """An answer that arrives byte by byte, with a notification behind it, is read whole."""
    data = '{"id":2,"result":{"text":"äöü"}}\n{"method":"x","params":{}}\n'.encode()
    with AppServer(path, {"ping": None}) as server, Client(path) as client:
        request = client.send("ping")
        server.wait_for("ping")

        def feed() -> None:
            for byte in data:
                server.send(bytes([byte]))

        feeder = threading.Thread(target=feed)
        feeder.start()
        assert client.wait_response(request) == {"text": "äöü"}
        assert client.next_notification(10) == Notification("x", {})
        feeder.join()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "sent something that is not JSON"),
        (Raw(b"\xff\xfe\n"), "sent something that is not JSON"),
        (Raw(b"[" * 100_000 + b"\n"), "sent something that is not JSON"),
        (Raw(b"[]\n"), "none of the protocol's"),
        (Raw(b'{"id":2}\n'), "none of the protocol's"),
        (Raw(b'{"id":2,"result":5}\n'), "none of the protocol's"),
        (Raw(b'{"id":2,"error":"no"}\n'), "none of the protocol's"),
        (Raw(b'{"id":null,"error":{"code":-32700,"message":"what?"}}\n'), r"could not read .*: what\?"),
        (Raw(b'{"id":2,"res', hang_up=True), "closed the connection in the middle of a message"),
        (Raw(b"", hang_up=True), "closed the connection$"),
    ],
)
def test_what_is_not_the_protocol_ends_the_connection(path: Path, answer: Raw, words: str) -> None:
    """Garbage, a cut line and a server that closes are each one clear error, and the connection is over."""
    with AppServer(path, {"ping": answer}), Client(path) as client:
        with pytest.raises(ConnectionLost, match=words):
            client.call("ping")
        with pytest.raises(ConnectionLost):
            client.call("ping")
        with pytest.raises(ConnectionLost):
            client.next_notification(10)


def test_an_endless_line_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message longer than the limit ends the connection instead of filling the memory."""
    monkeypatch.setattr(blocking_connection, "LONGEST_MESSAGE", 1000)
    server = AppServer(path, {"ping": Raw(b" " * 1001)})
    with server, Client(path) as client, pytest.raises(ConnectionLost, match="over 1000 bytes"):
        client.call("ping")


def test_a_server_that_is_no_daemon_is_left_at_once(path: Path) -> None:
    """If `initialize` is refused, garbled or not answered, there is no client and no open socket."""
    for greeting, error in ((Refusal(-32600, "who?"), CallFailed), (Raw(b"220 smtp\n"), ConnectionLost)):
        with AppServer(path, greeting=greeting) as server:
            with pytest.raises(error):
                Client(path)
            assert server.hung_up.wait(10)
    with AppServer(path, greeting=Raw(b"")), pytest.raises(CallTimedOut):
        Client(path, timeout=0.01)


def test_nothing_listens(path: Path) -> None:
    """A missing folder, a missing socket and a socket that was left behind are the error that a start can mend."""
    with pytest.raises(NothingListens, match=f"nothing listens on {path}/s"):
        Client(path / "s")
    with pytest.raises(NothingListens):
        Client(path)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with pytest.raises(NothingListens):
        Client(path)


def test_a_path_that_cannot_be_a_socket_is_another_error(tmp_path: Path) -> None:
    """A path too long for a socket is unreachable, and starting a daemon would not help."""
    with pytest.raises(DaemonUnreachable, match="too long") as failure:
        Client(tmp_path / ("x" * 200))
    assert not isinstance(failure.value, NothingListens)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot tell a full queue from nobody")
def test_a_full_queue_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes with a crowd gets in when there is a place, and hears that there is none when time is up."""
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        first = unix_socket.open_socket(path, 10)
        with pytest.raises(DaemonUnreachable, match="too many clients have been waiting for it for 0 seconds"):
            unix_socket.open_socket(path, 0)
        monkeypatch.setattr("accountd.client.unix_socket.time.sleep", lambda _: busy.accept()[0].close())
        unix_socket.open_socket(path, 10).close()
        first.close()


def test_another_persons_daemon_is_not_trusted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that is served by neither this user nor root is left before anything is said to it."""
    monkeypatch.setattr(unix_socket, "peer_credentials", lambda connection: Peer(os.geteuid() + 1, 1))
    with AppServer(path) as server:
        with pytest.raises(DaemonUnreachable, match=f"served by another user .uid {os.geteuid() + 1}"):
            Client(path)
        assert server.hung_up.wait(10)
        assert not server.requests


def test_a_daemon_of_whom_the_system_does_not_tell_is_not_trusted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS of one that has left by then: it might have been anybody's."""
    monkeypatch.setattr(unix_socket, "peer_credentials", lambda connection: None)
    with AppServer(path), pytest.raises(DaemonUnreachable, match="of whom the system does not tell"):
        Client(path)


def test_a_wait_can_be_interrupted_and_taken_up_again(path: Path) -> None:
    """A readable `interrupt` ends the wait; the answer can still be had, and so can what came meanwhile."""
    readable, writable = socket.socketpair()
    with readable, writable, AppServer(path, {"slow": None}) as server, Client(path) as client:
        client.interrupt = readable
        writable.send(b"!")
        request = client.send("slow")
        with pytest.raises(Interrupted):
            client.wait_response(request)
        with pytest.raises(Interrupted):
            client.next_notification(10)
        readable.recv(1)
        server.wait_for("slow")
        server.send(b'{"method":"x","params":{}}\n{"id":2,"result":{"done":true}}\n')
        assert client.wait_response(request) == {"done": True}
        assert client.next_notification(0) == Notification("x", {})


def test_a_chatty_server_does_not_move_the_deadline(path: Path) -> None:
    """Notifications do not keep a call alive beyond its time."""
    with AppServer(path, {"slow": None}) as server, Client(path) as client:
        stop = threading.Event()

        def chat() -> None:
            while not stop.wait(0.002):
                server.notify("x", {})

        chatter = threading.Thread(target=chat)
        chatter.start()
        with pytest.raises(CallTimedOut):
            client.call("slow", timeout=0.05)
        stop.set()
        chatter.join()


@pytest.mark.process
def test_it_stands_on_the_standard_library_alone() -> None:
    """Importing the client imports no package that is not Python's own or this one."""
    code = "import sys, accountd.client.blocking; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-S", "-c", "import sys; sys.path[:0] = sys.argv[1:]; " + code, *sys.path]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    foreign = {name for name in names if name not in sys.stdlib_module_names} - {"accountd", "__main__"}
    assert not foreign
