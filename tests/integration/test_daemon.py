"""The daemon as a process: its real socket, both framings, standard input and output, signals, and kill -9."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

from accountd.client.blocking import Client
from accountd.client.errors import ClientError
from accountd.oauth.claims import parse_claims
from accountd.sandbox import Claims, Fault, Script, Workspace
from accountd.secret import Secret
from fakes.client import NOBODY
from fakes.processes import PATIENCE, completion, environment, running, running_with_sandbox

if TYPE_CHECKING:
    pass

DEVICE = {"type": "chatgptDeviceCode"}


def serve(home: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Start a daemon that will not stay, and give its end."""
    return subprocess.run(
        [sys.executable, "-m", "accountd", "serve", "--listen", f"unix://{path}"],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_socket_is_for_its_owner_alone(home: Path) -> None:
    """The folder has mode 0700, the socket 0600; after SIGTERM both are as if the daemon had never been."""
    with running(home) as daemon:
        assert daemon.path.parent.stat().st_mode & 0o777 == 0o700
        assert daemon.path.stat().st_mode & 0o777 == 0o600
        log = daemon.stop()
        assert daemon.process.returncode == 0
    assert list(daemon.path.parent.iterdir()) == []
    assert "stopping on SIGTERM" in log
    assert "Traceback" not in log


def test_a_whole_login_over_a_real_socket(home: Path) -> None:
    """From the code to auth.json, with a real issuer on loopback; another client sees it, a logout ends it."""
    with running_with_sandbox(home, Script(approve_after_polls=1, interval=0)) as (daemon, sandbox):
        with daemon.connect() as client, daemon.connect() as other:
            started = client.call("account/login/start", DEVICE)
            assert started["userCode"]
            assert completion(other, started["loginId"])["success"]
            assert client.call("account/read", {})["account"]["email"] == "ada@example.com"
            document = json.loads((home / "auth.json").read_text())
            assert (home / "auth.json").stat().st_mode & 0o777 == 0o600
            token = other.call("getAuthStatus", {"includeToken": True})["authToken"]
            assert token == document["tokens"]["access_token"]
            assert other.call("account/logout", None) == {}
            assert not (home / "auth.json").exists()
            assert sandbox.requests[-1].path == "/oauth/revoke"
        log = daemon.stop()
    secrets = [document["tokens"][name] for name in ("access_token", "id_token", "refresh_token")]
    assert not [secret for secret in secrets if secret in log]
    assert started["userCode"] not in log


def test_cancels_during_the_exchange_are_answered_truly(home: Path) -> None:
    """Against a real issuer and a real disk: `canceled` leaves nothing stored, a completion tells the truth."""
    script = Script(approve_after_polls=0, interval=0, delay=0.02)
    with running_with_sandbox(home, script) as (daemon, _), daemon.connect() as client:
        answers = set()
        for step in range(12):
            login_id = client.call("account/login/start", DEVICE)["loginId"]
            time.sleep(step * 0.016)  # real time: the cancels fall across a real login, from before its first poll
            answer = client.call("account/login/cancel", {"loginId": login_id})["status"]
            end = completion(client, login_id)
            stored = (home / "auth.json").exists()
            assert end["success"] == stored
            assert answer == ("notFound" if stored else "canceled")
            answers.add(answer)
            client.call("account/logout", None)
    assert "canceled" in answers


def test_a_websocket_client_is_served_beside_the_others(home: Path) -> None:
    """The same socket speaks WebSocket to whoever begins with its upgrade: requests, pings and a close."""
    with running(home) as daemon, socket.socket(socket.AF_UNIX) as sock, daemon.connect() as other:
        sock.settimeout(PATIENCE)
        sock.connect(str(daemon.path))
        connection = WSConnection(ConnectionType.CLIENT)
        seen: list[ws.Event] = []

        def exchange(event: ws.Event, answer: type[ws.Event]) -> ws.Event:
            sock.sendall(connection.send(event))
            while not any(isinstance(found, answer) for found in seen):
                connection.receive_data(sock.recv(65536) or None)
                seen.extend(connection.events())
            return seen.pop()

        exchange(ws.Request(host="localhost", target="/"), ws.AcceptConnection)
        initialize = {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "x", "version": "1"}}}
        exchange(ws.TextMessage(json.dumps(initialize)), ws.TextMessage)
        answer = exchange(ws.TextMessage('{"id":2,"method":"account/read","params":{}}'), ws.TextMessage)
        assert isinstance(answer, ws.TextMessage)
        assert json.loads(answer.data) == {"id": 2, "result": NOBODY}
        assert exchange(ws.Ping(b"are you there"), ws.Pong) == ws.Pong(b"are you there")
        binary = exchange(ws.BytesMessage(b"{}"), ws.TextMessage)
        assert isinstance(binary, ws.TextMessage)
        assert "binary messages are not supported" in binary.data
        assert exchange(ws.CloseConnection(1000), ws.CloseConnection) == ws.CloseConnection(1000, "")
        assert sock.recv(1) == b""
        assert other.call("account/read", {}) == NOBODY


def test_a_shell_pipe_is_a_client(home: Path) -> None:
    """Requests on standard input are answered on standard output, and its end ends the daemon, cleanly."""
    requests = [
        {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "sh", "version": "1"}}},
        {"id": 2, "method": "account/login/start", "params": {"type": "apiKey", "apiKey": "sk-canary"}},
        {"id": 3, "method": "getAuthStatus", "params": {}},
    ]
    result = subprocess.run(
        [sys.executable, "-m", "accountd", "serve", "--listen", "stdio://"],
        input="\n".join(map(json.dumps, requests)),  # the last line has no end
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    messages = [json.loads(line) for line in result.stdout.splitlines()]
    assert [message.get("id", message.get("method")) for message in messages] == [
        1,
        2,
        "account/login/completed",
        "account/updated",
        3,
    ]
    assert json.loads((home / "auth.json").read_text())["OPENAI_API_KEY"] == "sk-canary"
    assert "sk-canary" not in result.stdout + result.stderr


def test_rubbish_from_one_client_does_not_reach_the_others(home: Path) -> None:
    """Binary, TLS, HTTP and half a message, each from a client that then hangs up; the next one is served."""
    rubbish = [
        os.urandom(5000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b'{"id":1,"method":',
        b"[" * 100_000 + b"\n",
        b"G",
        b"",
    ]
    with running(home) as daemon:
        for data in rubbish:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(daemon.path))
                sock.sendall(data)
        with daemon.connect() as client:
            assert client.call("account/read", {}) == NOBODY
        assert "Traceback" not in daemon.stop()


def test_a_killed_daemon_leaves_nothing_in_the_way(home: Path) -> None:
    """After kill -9 the next daemon takes the socket over, and the credential is the one that was stored."""
    with running(home) as daemon:
        with daemon.connect() as client:
            client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-kept"})
        daemon.stop(signal.SIGKILL)
    assert daemon.path.exists()
    with running(home) as daemon, daemon.connect() as client:
        assert client.call("getAuthStatus", {"includeToken": True})["authToken"] == "sk-kept"


def test_a_second_daemon_is_refused_and_the_first_goes_on(home: Path) -> None:
    """Two daemons on one path would be two owners; the second one says why it will not start."""
    with running(home) as daemon:
        second = serve(home, daemon.path)
        assert second.returncode == 1
        holder = f"a running server (pid {daemon.process.pid})"
        assert second.stderr == f"accountd: the socket is already in use by {holder}: {daemon.path}\n"
        with daemon.connect() as client:
            assert client.call("account/read", {}) == NOBODY


@pytest.mark.parametrize(
    ("config", "listen", "words"),
    [
        ("forced_login_method = \n", "s", "config.toml:1: forced_login_method: "),
        (
            'forced_login_method = "sms"\n',
            "s",
            'config.toml:1: forced_login_method must be one of "chatgpt", "api"',
        ),
        ('cli_auth_credentials_store = "vault"\n', "s", "cli_auth_credentials_store must be one of"),
        ('chatgpt_base_url = "https://256.256.256.256"\n', "s", "chatgpt_base_url must be a URL whose host is"),
        ("", "x" * 120, "bytes long, and 107 is the most" if sys.platform == "linux" else "is the most"),
    ],
)
def test_what_cannot_be_started_says_why_in_one_line(home: Path, config: str, listen: str, words: str) -> None:
    """A configuration or path that cannot be used is one line on stderr, and exit status 1."""
    (home / "config.toml").write_text(config)
    result = serve(home, home / listen)
    assert result.returncode == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_signal_completes_the_login_that_waits(home: Path) -> None:
    """At SIGINT every client hears that its login did not complete, before its connection ends."""
    with running_with_sandbox(home, Script()) as (daemon, _), daemon.connect() as client:
        login_id = client.call("account/login/start", DEVICE)["loginId"]
        daemon.process.send_signal(signal.SIGINT)
        assert completion(client, login_id)["error"] == "Login was not completed"
        assert daemon.process.wait(PATIENCE) == 0


def test_a_second_signal_does_not_wait_for_the_slow(home: Path) -> None:
    """The first signal waits for a request that is under way; the second does not."""
    with running_with_sandbox(home, Script(delay=60)) as (daemon, _), daemon.connect() as client:
        client.send("account/login/start", DEVICE)
        with daemon.connect() as other:  # whose answer shows that the daemon has got as far as that
            other.call("account/read", {})
        daemon.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.process.wait(0.3)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(2) == 0
        with pytest.raises(ClientError):
            client.call("account/read", {})


def test_an_outage_of_the_issuer_is_waited_out(home: Path) -> None:
    """Dropped connections while polling do not end a login that the person then approves."""
    poll = "/api/accounts/deviceauth/token"
    script = Script(approve_after_polls=0, interval=0, faults=(Fault(poll, 1, 0),))
    with running_with_sandbox(home, script) as (daemon, _), daemon.connect() as client:
        login_id = client.call("account/login/start", DEVICE)["loginId"]
        assert completion(client, login_id)["success"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_idle_means_idle(home: Path) -> None:
    """A daemon with a client and nothing to do has its thread and that of its log, which rest for a second."""
    with running(home) as daemon, daemon.connect():
        tasks = Path(f"/proc/{daemon.process.pid}/task")

        def switches() -> list[str]:
            lines = (line for path in tasks.glob("*/status") for line in path.read_text().splitlines())
            return [line for line in lines if "ctxt_switches" in line]

        assert len(list(tasks.iterdir())) == 2
        before: list[str] = []
        while (now := switches()) != before:  # at the end of its start; one that never rests runs into the timeout
            before = now
            time.sleep(0.5)  # real time, since the kernel's count of wake-ups is what is looked at
        time.sleep(1.0)  # likewise
        assert switches() == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_even_where_the_modes_let_them_in(home: Path) -> None:
    """The kernel says who connects, and whoever is not the owner gets no answer at all."""
    code = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        "s.settimeout(10); s.connect(sys.argv[1]); s.sendall(b'{\"id\":1}\\n'); print(s.recv(100))"
    )
    with running(home) as daemon:
        for path, mode in ((home, 0o755), (daemon.path.parent, 0o755), (daemon.path, 0o666)):
            path.chmod(mode)
        result = subprocess.run(
            [sys.executable, "-c", code, str(daemon.path)], capture_output=True, text=True, timeout=20, check=False
        )
        assert result.stdout == "b''\n" or "ConnectionResetError" in result.stderr or "BrokenPipe" in result.stderr
        with daemon.connect() as client:
            assert client.call("account/read", {}) == NOBODY
        assert "refused a connection of uid 65534" in daemon.stop()


def test_a_refresh_stays_in_its_workspace(home: Path) -> None:
    """A token of another workspace is exchanged before it is given or stored."""
    ask = {"includeToken": True, "refreshToken": True}
    with running_with_sandbox(home, Script(approve_after_polls=0)) as (daemon, sandbox), daemon.connect() as client:
        with client.login_device_code() as login:
            login.wait()
        old = client.call("getAuthStatus", ask)["authToken"]
        here = Workspace(account_id="account-sandbox")
        sandbox.script = Script(claims=Claims(account_id="elsewhere"), workspaces=(here,))
        new = client.call("getAuthStatus", ask)["authToken"]
        stored = json.loads((home / "auth.json").read_text())["tokens"]
        assert (stored["access_token"], stored["account_id"]) == (new, "account-sandbox")
        assert parse_claims(Secret(new)).account_id == "account-sandbox"
        assert new != old


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is watched")
def test_what_other_programs_do_is_noticed(home: Path) -> None:
    """A login, a refresh and a logout by another program reach our clients, without anybody asking."""
    with running(home) as daemon, daemon.connect() as client:

        def wait_update() -> str | None:
            updated = client.wait_notification(lambda told: told.method == "account/updated", PATIENCE)
            mode: str | None = updated.params["authMode"]
            return mode

        def replace(document: object) -> None:
            (home / "new").write_text(json.dumps(document))
            (home / "new").replace(home / "auth.json")

        replace({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1"})
        assert wait_update() == "apikey"
        replace({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-2"})
        assert wait_update() == "apikey"
        assert client.call("getAuthStatus", {"includeToken": True})["authToken"] == "sk-2"
        (home / "auth.json").write_text('{"auth_mode": "apikey", "OPENAI_API_KEY": "sk-3"}')  # in place
        assert wait_update() == "apikey"
        (home / "auth.json").unlink()
        assert wait_update() is None
        (home / "something-else.json").write_text("{}")
        assert not [told for told in client.notifications(0.3) if told.method == "account/updated"]


def test_a_container_can_have_a_token_and_nothing_else(home: Path) -> None:
    """The second socket answers what it is for, and is as private as the first."""
    path, hatch = home / "run" / "s", home / "box" / "t"
    command = [sys.executable, "-m", "accountd", "serve"]
    command += ["--listen", f"unix://{path}", "--token-socket", f"unix://{hatch}"]
    with subprocess.Popen(command, env=environment(home), stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not path.exists() or not hatch.exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            with Client(str(path)) as client, Client(str(hatch)) as container:
                client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-for-all"})
                assert container.call("getAuthStatus", {"includeToken": True})["authToken"] == "sk-for-all"
                with pytest.raises(ClientError, match="not available on this socket"):
                    container.call("account/logout", None)
            assert hatch.stat().st_mode & 0o777 == 0o600
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)
    assert not hatch.exists()
