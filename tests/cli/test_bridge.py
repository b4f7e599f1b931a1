"""The bridge between standard input and output and the daemon's socket: its bytes, its ends, who waits for whom."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd.cli import exits
from accountd.cli.bridge import run_bridge
from accountd.cli.exits import Failure
from fakes.app_server import INITIALIZED
from fakes.terminal import read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.process

CONNECT = [sys.executable, "-m", "accountd", "connect", "--no-start"]
RUBBISH = bytes(range(256)) + b"\r\n\n\xff\xfe" + b"the last line has no end"
PATIENCE = 10.0
"""Seconds for anything that should happen."""
STUCK = 0.3
"""Seconds after which somebody who could not write a byte is waiting for a reader. Real ones."""
MOST = 2 * 1024 * 1024
"""Bytes that may be on their way, the buffers of the system included, before the writer has to wait."""


class Bridge:
    """A bridge in a process of its own, and the daemon's end of its connection."""

    def __init__(self, process: subprocess.Popen[bytes], daemon: socket.socket) -> None:
        self.process = process
        self.daemon = daemon

    def end(self) -> tuple[int, bytes | None, bytes]:
        """Wait for the end; give the exit code, and what is left of both outputs."""
        self.process.wait(PATIENCE)  # before what is next, which closes standard input
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def is_relayed(self, there: bytes, back: bytes) -> bool:
        """Say whether bytes go through, in both directions."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        os.write(self.process.stdin.fileno(), there)
        self.daemon.sendall(back)
        stdout = self.process.stdout.fileno()
        return receive(self.daemon, len(there)) == there and read_exactly(stdout, len(back)) == back


@pytest.fixture
def listener(path: Path) -> Iterator[socket.socket]:
    """Listen where the daemon would."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.fspath(path))
        sock.listen()
        sock.settimeout(PATIENCE)
        yield sock


def answer_look(listener: socket.socket) -> None:
    """Answer a bridge that looks which account is meant, as a daemon does that has no list."""
    looking, _ = listener.accept()
    with looking, looking.makefile("rwb") as lines:
        for line in iter(lines.readline, b""):
            if (request := json.loads(line)).get("id") is not None:
                is_first = request["method"] == "initialize"
                end = {"result": INITIALIZED} if is_first else {"error": {"code": -32600, "message": "no"}}
                lines.write(json.dumps({"id": request["id"], **end}).encode() + b"\n")
                lines.flush()


@contextlib.contextmanager
def connected(listener: socket.socket, **streams: Any) -> Iterator[Bridge]:
    """Start a bridge, on pipes if nothing else is said, and accept its connection."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process: subprocess.Popen[bytes]
    with subprocess.Popen(CONNECT, **(pipes | streams)) as process:
        try:
            answer_look(listener)
            daemon, _ = listener.accept()
            with daemon:
                daemon.settimeout(PATIENCE)
                yield Bridge(process, daemon)
        finally:
            process.kill()


@pytest.fixture
def bridge(listener: socket.socket) -> Iterator[Bridge]:
    """Give a bridge on pipes."""
    with connected(listener) as bridge:
        yield bridge


def receive(sock: socket.socket, size: int) -> bytes:
    """Receive exactly so many bytes."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        assert more, data
        data += more
    return data


def fill(descriptor: int) -> int:
    """Write until nobody takes any more; give how much that was."""
    os.set_blocking(descriptor, False)
    written = 0
    while select.select([], [descriptor], [], STUCK)[1]:
        with contextlib.suppress(BlockingIOError):
            written += os.write(descriptor, bytes(65536))
        assert written <= MOST, "nobody waits"
    os.set_blocking(descriptor, True)
    return written


def test_every_byte_is_relayed_as_it_is(bridge: Bridge) -> None:
    """Whatever the bytes are, they arrive, in both directions, at once and without a newline."""
    assert bridge.is_relayed(RUBBISH, RUBBISH[::-1])
    assert bridge.is_relayed(b"{", b"}")


def test_the_end_of_stdin_is_passed_on_and_answers_still_come(bridge: Bridge) -> None:
    """The daemon sees the end, answers, and closes: all of it is delivered, and that is exit code 0."""
    assert bridge.process.stdin is not None
    bridge.process.stdin.write(b"a question")
    bridge.process.stdin.close()
    bridge.process.stdin = None
    assert receive(bridge.daemon, 10) == b"a question"
    assert bridge.daemon.recv(1) == b""
    bridge.daemon.sendall(b"an answer")
    assert bridge.process.poll() is None
    bridge.daemon.close()
    assert bridge.end() == (exits.OK, b"an answer", b"")


def test_a_daemon_that_closes_first_is_told(bridge: Bridge, path: Path) -> None:
    """What it sent is delivered; then one line says who closed and what to do, and the exit code is 1."""
    bridge.daemon.sendall(b"last words")
    bridge.daemon.close()
    code, out, err = bridge.end()
    assert (code, out) == (exits.ERROR, b"last words")
    text = f"the daemon at {path} closed the connection before standard input ended; run this again to connect anew"
    assert err.decode() == f"accountd: {text}\n"


def test_a_daemon_that_dies_on_what_it_was_sent_is_told(bridge: Bridge) -> None:
    """A connection that is reset, with questions unread, ends as one that is closed; nothing is a traceback."""
    assert bridge.process.stdin is not None
    bridge.process.stdin.write(b"a question")
    bridge.process.stdin.flush()
    assert select.select([bridge.daemon], [], [], PATIENCE)[0]
    bridge.daemon.sendall(b"last words")
    bridge.daemon.close()
    code, out, err = bridge.end()
    assert (code, out, err.count(b"\n")) == (exits.ERROR, b"last words", 1)


def test_a_reader_that_leaves_is_no_failure_to_speak_of(bridge: Bridge) -> None:
    """When nobody reads the answers any more, the first that comes ends the bridge without a word."""
    assert bridge.process.stdout is not None
    bridge.process.stdout.close()
    bridge.process.stdout = None
    bridge.daemon.sendall(b"an answer")
    assert bridge.end() == (exits.ERROR, None, b"")
    assert bridge.daemon.recv(1) == b""


@pytest.mark.parametrize("stuck", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(bridge: Bridge, number: signal.Signals, stuck: bool) -> None:
    """Also in the middle of bytes that nobody takes: nothing is said, and the daemon sees the connection end."""
    assert bridge.is_relayed(b"now it", b"is running")
    if stuck:
        fill(bridge.daemon.fileno())
    bridge.process.send_signal(number)
    assert bridge.process.wait(PATIENCE) == exits.SIGNALLED + number
    assert bridge.end()[2] == b""
    with contextlib.suppress(ConnectionResetError):  # which it is if something was left unread
        assert bridge.daemon.recv(1) == b""


def test_a_reader_that_does_not_read_stops_the_daemon_and_nothing_else(bridge: Bridge) -> None:
    """The daemon has to wait, memory is bounded, questions still go out, and in the end every byte is there."""
    assert bridge.process.stdin is not None
    assert bridge.process.stdout is not None
    written = fill(bridge.daemon.fileno())
    bridge.process.stdin.write(b"a question")
    bridge.process.stdin.flush()
    assert receive(bridge.daemon, 10) == b"a question"
    bridge.daemon.shutdown(socket.SHUT_WR)
    assert len(bridge.process.stdout.read()) == written
    assert bridge.end()[0] == exits.ERROR


def test_a_daemon_that_does_not_read_stops_the_client_and_nothing_else(bridge: Bridge) -> None:
    """The client has to wait, memory is bounded, answers still come in, and in the end every byte is there."""
    assert bridge.process.stdin is not None
    assert bridge.process.stdout is not None
    written = fill(bridge.process.stdin.fileno())
    bridge.daemon.sendall(b"an answer")
    assert bridge.process.stdout.read(9) == b"an answer"
    assert receive(bridge.daemon, written) == bytes(written)
    assert bridge.is_relayed(b"and it", b"goes on")


def test_files_are_streams_too(listener: socket.socket, home: Path) -> None:
    """A file of requests is sent, its end is the end, and the answers are written to another file."""
    (home / "in").write_bytes(RUBBISH)
    with (home / "in").open("rb") as stdin, (home / "out").open("wb") as stdout:
        with connected(listener, stdin=stdin, stdout=stdout) as bridge:
            assert receive(bridge.daemon, len(RUBBISH)) == RUBBISH
            assert bridge.daemon.recv(1) == b""
            bridge.daemon.sendall(RUBBISH)
            bridge.daemon.close()
            assert bridge.end()[0] == exits.OK
    assert (home / "out").read_bytes() == RUBBISH


def test_one_socket_is_both_streams(listener: socket.socket) -> None:
    """Some programs give their children sockets instead of pipes, and one for both directions."""
    ours, theirs = socket.socketpair()
    with ours, connected(listener, stdin=theirs, stdout=theirs) as bridge:
        theirs.close()
        ours.settimeout(PATIENCE)
        ours.sendall(b"there")
        assert receive(bridge.daemon, 5) == b"there"
        bridge.daemon.sendall(b"back")
        assert receive(ours, 4) == b"back"
        ours.close()
        assert bridge.daemon.recv(1) == b""
        bridge.daemon.close()
        assert bridge.end()[0] == exits.OK


def test_a_terminal_is_both_streams(listener: socket.socket) -> None:
    """A person can type at the daemon; the terminal is left as it was, blocking."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    with connected(listener, stdin=slave, stdout=slave) as bridge:
        os.write(master, b"typed\n")
        assert receive(bridge.daemon, 6) == b"typed\n"
        bridge.daemon.sendall(b"shown\n")
        assert read_exactly(master, 6) == b"shown\n"
        assert os.get_blocking(slave)
        bridge.daemon.close()
        assert bridge.end()[0] == exits.ERROR
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("blocking", [True, False])
def test_descriptors_are_left_as_they_were_found(path: Path, blocking: bool) -> None:
    """Blocking or not, more than a pipe holds goes through, and the flags that others share are as before.

    The timeout within which the connection was made is no longer its own.
    """
    size = 300_000
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    (stdin, to_stdin), (from_stdout, stdout) = os.pipe(), os.pipe()
    for descriptor in (stdin, stdout):
        os.set_blocking(descriptor, blocking)

    def daemon() -> None:
        assert theirs.recv(1) == b"?"
        theirs.sendall(bytes(size))
        os.close(to_stdin)
        assert theirs.recv(1) == b""
        theirs.close()

    def client() -> None:
        os.write(to_stdin, b"?")
        with open(from_stdout, "rb") as answers:  # noqa: PTH123  # a descriptor has no path
            seen.append(len(answers.read(size)))

    seen: list[int] = []
    threads = [threading.Thread(target=target) for target in (daemon, client)]
    for thread in threads:
        thread.start()
    assert run_bridge(ours, path, stdin=stdin, stdout=stdout) == exits.OK
    for thread in threads:
        thread.join(PATIENCE)
    assert (seen, ours.gettimeout()) == ([size], None)
    assert [os.get_blocking(descriptor) for descriptor in (stdin, stdout)] == [blocking, blocking]
    os.close(stdin)
    os.close(stdout)


def test_a_descriptor_that_fails_is_one_line(path: Path) -> None:
    """A standard input that cannot be read, or an output that cannot be written, is named with the reason."""
    for streams, words in (
        (
            {"stdin": os.open(os.devnull, os.O_WRONLY)},
            "cannot read standard input: Bad file descriptor",
        ),
        ({"stdout": os.open(os.devnull, os.O_RDONLY)}, "cannot write the output: Bad file descriptor"),
    ):
        reader, writer = os.pipe()
        ours, theirs = socket.socketpair()
        theirs.sendall(b"an answer")
        with theirs, pytest.raises(Failure, match=words):
            run_bridge(ours, path, **({"stdin": reader, "stdout": writer} | streams))
        os.close(writer)
        for descriptor in (reader, *streams.values()):
            os.close(descriptor)


def test_without_a_standard_input_there_is_nothing_to_relay(listener: socket.socket) -> None:
    """The connection is not opened at all: it would get the number of standard input."""
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *CONNECT]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (exits.ERROR, b"")
    assert done.stderr == b"accountd: standard input is closed\n"
    assert not select.select([listener], [], [], 0)[0]


def test_without_a_daemon_there_is_nothing_to_relay(path: Path) -> None:
    """`--no-start` is exit code 5 and the line of the other verbs."""
    done = subprocess.run(CONNECT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (exits.NO_DAEMON, "")
    assert done.stderr.startswith(f"accountd: nothing listens on {path}; start a daemon")
