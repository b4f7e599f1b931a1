"""Whole app-servers: a front, a daemon, and a real Codex between them and the sandbox's model."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.codex.version import CODEX_VERSION
from accountd.sandbox import Fault, Script
from fakes.front_client import Client, running_front
from fakes.front_office import MODEL, Office, open_office
from fakes.processes import PATIENCE, daemon_pid

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes as Linux tells of them"),
    pytest.mark.timeout(600),  # the first of these tests fetches the app-server
]


@pytest.fixture
def office(home: Path, path: Path) -> Iterator[Office]:
    """Give one; what runs there is ended."""
    with open_office(home, path, CODEX_VERSION) as office:
        yield office


def has_in_memory(process: int, wanted: bytes) -> bool:
    """Say whether a process has something in its memory."""
    folder = Path(f"/proc/{process}")
    with (folder / "mem").open("rb", 0) as memory:
        for line in (folder / "maps").read_text().splitlines():
            span, mode, *_ = line.split()
            first, last = (int(end, 16) for end in span.split("-"))
            if mode.startswith("rw"):
                with suppress(OSError):  # of what has been unmapped since
                    memory.seek(first)
                    if wanted in memory.read(last - first):
                        return True
    return False


def look_for_the_login(office: Office) -> None:
    """See that the agent has the access token and nothing of the refresh token, wherever one can look."""
    tokens = json.loads((office.home / "auth.json").read_text())["tokens"]
    refresh, access = tokens["refresh_token"].encode(), tokens["access_token"].encode()
    agents = office.agents()
    assert agents
    for agent in agents:
        for name in ("environ", "cmdline"):
            assert refresh not in Path(f"/proc/{agent}/{name}").read_bytes()
    if os.getuid() == 0:  # it hides its memory from others
        assert any(has_in_memory(agent, access) for agent in agents)
        assert not any(has_in_memory(agent, refresh) for agent in agents)
    files = [file for file in office.home.rglob("*") if file.is_file() and file.name != "auth.json"]
    assert not [file for file in files if refresh in file.read_bytes()]


def test_one_client_goes_from_its_login_to_another(office: Office, tmp_path: Path) -> None:
    """Login, turns, a token that is refused in one, a command that is approved, logout, an API key.

    The agent has the access token and nothing of the refresh token, and ends with its client.
    """
    with running_front(office.environ) as front:
        client = Client(front.stdout, front.stdin)  # type: ignore[arg-type]  # they are pipes
        assert office.agents() == []
        client.log_in()
        thread = client.start_thread(tmp_path)
        assert client.turn(thread, "say hello world") == "hello world"

        office.sandbox.script = Script(faults=(Fault(MODEL, 1, 401),))
        assert client.turn(thread, "say again") == "again"
        tokens = [request.status for request in office.sandbox.requests if request.path == "/oauth/token"]
        assert tokens == [200, 200]  # the login's, and one refresh

        assert "The tool has answered" in client.turn(thread, "run touch here; echo done")
        assert (tmp_path / "here").exists()
        assert len(client.approved) == 1

        look_for_the_login(office)
        client.ask("account/logout")
        client.ask("account/login/start", {"type": "apiKey", "apiKey": "sk-tests"})
        assert client.turn(thread, "say with a key") == "with a key"
        client.start_turn(thread, "deltas 100000 10")
        client.wait("item/agentMessage/delta")
        front.stdin.close()  # type: ignore[union-attr]  # likewise
        assert front.wait(4) == 0  # though a turn is under way
    office.wait_until_no_agent_runs()


def test_each_of_the_three_may_be_killed_in_a_turn(office: Office, tmp_path: Path) -> None:
    """Clients of a socket share an agent, which outlives the front; who is left goes on, or is told to return."""
    place = office.home / "f"
    with running_front(office.environ, place) as front:
        first, second = office.connect(place), office.connect(place)
        first.log_in()
        assert second.wait("account/login/completed")["success"]
        thread = first.start_thread(tmp_path)
        first.turn(thread, "say one")
        second.ask("thread/resume", {"threadId": thread})
        agents = office.agents()

        # The daemon: nobody notices.
        first.start_turn(thread, "deltas 100 10")
        first.wait("item/agentMessage/delta")
        os.kill(daemon_pid(office.environ["ACCOUNTD_SOCKET"]), signal.SIGKILL)
        assert first.ask("account/read")["account"]["email"] == "ada@example.com"
        assert first.finish_turn().endswith(" 99 ")
        assert second.wait("turn/completed")["turn"]["status"] == "completed"

        # The front: its clients are disconnected, and the next one finds the agent, and the turn in it.
        first.start_turn(thread, "deltas 200 10")
        first.wait("item/agentMessage/delta")
        front.kill()
        first.wait_end()
    with running_front(office.environ, place) as front:
        third, accounts = office.connect(place), office.connect(place)
        assert accounts.ask("account/read")["account"]["email"] == "ada@example.com"
        third.ask("thread/resume", {"threadId": thread})
        third.finish_turn()
        assert office.agents() == agents

        # The agent: who used it is told so and disconnected, who did not is not; the next one has another.
        third.start_turn(thread, "deltas 200 10")
        asked = third.begin("command/exec", {"command": ["sleep", "30"], "cwd": str(tmp_path)})
        for agent in agents:
            os.kill(agent, signal.SIGKILL)
        assert third.receive_answer(asked)["error"]["code"] == -32603
        third.wait_end()
        assert accounts.ask("account/read")["account"]["email"] == "ada@example.com"
        fourth = office.connect(place)
        assert fourth.turn(fourth.start_thread(tmp_path), "say on") == "on"
        front.terminate()
        assert front.wait(PATIENCE) == 128 + signal.SIGTERM


def test_the_programs_of_codex_that_connect_find_a_whole_app_server(office: Office, tmp_path: Path) -> None:
    """`codex exec --remote`, its resume, and `codex queue`."""
    place = office.home / "f"

    def run(*words: str) -> str:
        """Run codex, and give what it says in the end."""
        command = [office.environ["ACCOUNTD_CODEX"], *words]
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(command, cwd=tmp_path, env=office.environ, stdin=nothing, stdout=pipe) as program:
            said = program.communicate(timeout=PATIENCE)[0].decode().strip()
        assert program.returncode == 0, said
        return said

    with running_front(office.environ, place):
        client = office.connect(place)
        client.log_in()
        remote = ("--remote", f"unix://{place}")
        turn = ("exec", *remote, "--skip-git-repo-check")
        assert run(*turn, "say from exec") == "from exec"
        [thread] = client.ask("thread/list")["data"]
        assert run(*turn, "resume", thread["id"], "say resumed") == "resumed"
        assert "Queued message" in run("queue", *remote, "--thread", thread["id"], "--message", "say later")


def render_png(side: int) -> bytes:
    """Write a picture that is as large as a picture can be: without compression."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(3 * side)) * side, level=0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_much_at_once_is_passed_on_whole(office: Office, tmp_path: Path) -> None:
    """A client that does not read twenty thousand deltas holds up itself alone; a large picture goes through."""
    place = office.home / "f"
    with running_front(office.environ, place) as front:
        slow, quick = office.connect(place), office.connect(place)
        slow.log_in()
        slow.start_turn(slow.start_thread(tmp_path), "deltas 20000")
        thread = quick.start_thread(tmp_path)
        assert quick.turn(thread, "say at once") == "at once"
        assert slow.finish_turn() == "".join(f"{number} " for number in range(20_000))

        url = "data:image/png;base64," + base64.b64encode(render_png(3700)).decode()
        assert len(url) > 50_000_000
        assert quick.turn(thread, "say seen", {"type": "image", "url": url}) == "seen"
        status = Path(f"/proc/{front.pid}/status").read_text()
        assert int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) < 500_000
