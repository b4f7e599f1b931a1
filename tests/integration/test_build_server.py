"""A machine without a login: another user, in a home of their own, and a way to the token socket, as by ssh."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.codex.version import CODEX_VERSION
from accountd.sandbox import Fault, Sandbox, Script
from accountd.sandbox.config import render_config
from compat import peers
from fakes.front_client import connect, running_front
from fakes.front_office import APPROVED, MODEL, find_agents
from fakes.npm import OutOfReach
from fakes.processes import PATIENCE, Daemon, completion, environment, running, sandbox_on_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.front_client import Client

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked who listens as Linux tells it"),
    pytest.mark.timeout(600),  # it may fetch the app-server
]

NOBODY = 65534 if os.getuid() == 0 else os.getuid()
"""The other user, where this one may be any."""

AS_NOBODY = f"""
import encodings.idna, importlib, os, pkgutil, platformdirs.unix, sys
import accountd
# All that is imported later too, while this user can read where Python and accountd are installed.
for found in pkgutil.walk_packages(accountd.__path__, "accountd."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
if os.getuid() == 0:
    os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
from accountd.cli import main
sys.exit(main(sys.argv[1:]))
"""

RELAY = """
import os, socket, sys, threading

here, there, user = sys.argv[1], sys.argv[2], int(sys.argv[3])

def pump(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
    except OSError:
        pass
    for each in (source, sink):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

with socket.socket(socket.AF_UNIX) as listening:
    os.seteuid(user)  # it is theirs who listens, as of their sshd
    listening.bind(here)
    listening.listen()
    os.seteuid(os.getuid())
    while True:
        near = listening.accept()[0]
        far = socket.socket(socket.AF_UNIX)
        far.connect(there)
        for pair in ((near, far), (far, near)):
            threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@contextmanager
def relaying(here: Path, there: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run what ssh does in the place of a network."""
    with subprocess.Popen([sys.executable, "-c", RELAY, str(here), str(there), str(NOBODY)]) as relay:
        try:
            yield relay
        finally:
            relay.kill()


@pytest.fixture
def box() -> Iterator[Path]:
    """Give the other user's home."""
    folder = Path(tempfile.mkdtemp(prefix="accountd-"))  # with a short path, for its sockets
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def log_in(daemon: Daemon) -> None:
    """Log in where the login is."""
    with daemon.connect() as client:
        completion(client, client.call("account/login/start", {"type": "chatgptDeviceCode"})["loginId"])


def read_tokens(home: Path) -> set[bytes]:
    """Give all tokens that there are."""
    tokens = json.loads((home / "auth.json").read_text())["tokens"]
    return {tokens[name].encode() for name in ("access_token", "refresh_token", "id_token")}


def wait_for_account(client: Client, *, there: bool) -> None:
    """Wait until somebody, or nobody, is logged in there."""
    deadline = time.monotonic() + PATIENCE
    while (client.ask("account/read")["account"] is not None) is not there:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def put_within_reach(codex: Path, folder: Path) -> Path:
    """Give the program to the other user, who may not be let in to where it has been fetched."""
    [program] = codex.resolve().parents[2].glob("codex-*/vendor/*/bin/codex")
    shutil.copytree(program.parents[1], folder)
    return folder / "bin" / "codex"


def test_turns_are_run_where_no_login_is_stored(home: Path, box: Path) -> None:
    """A token that is refused is renewed, sleep is lived through, a logout told in words, and a login used at once.

    No file there has a token in the end.
    """
    try:
        codex = peers.fetch(CODEX_VERSION)
    except OutOfReach as error:
        pytest.skip(str(error))
    sandbox, seen = Sandbox(APPROVED), set[bytes]()
    hatch, forwarded, place = home / "hatch" / "s", box / "r", box / "f"
    with sandbox_on_loopback(sandbox) as url:
        for folder in (home, box):
            (folder / "config.toml").write_text(render_config(url))
        (box / "run").mkdir(mode=0o700)
        os.chown(box / "run", NOBODY, NOBODY)
        program = str(put_within_reach(codex, box / "codex"))
        environ = environment(box, HOME=str(box), XDG_RUNTIME_DIR=str(box / "run"), ACCOUNTD_CODEX=program)
        account = ("--account-from", f"unix://{forwarded}")
        with (
            running(home, "--token-socket", f"unix://{hatch}", CODEX_APP_SERVER_LOGIN_ISSUER=url) as daemon,
            relaying(forwarded, hatch) as relay,
            running_front(environ, place, flags=account, program=("-c", AS_NOBODY)),
            connect(place) as client,
        ):
            log_in(daemon)
            seen |= read_tokens(home)
            wait_for_account(client, there=True)
            thread = client.start_thread(box)
            assert client.turn(thread, "say from afar") == "from afar"
            sandbox.script = Script(faults=(Fault(MODEL, 1, 401),))
            assert client.turn(thread, "say again") == "again"
            seen |= read_tokens(home)
            assert len(seen) > 3

            relay.send_signal(signal.SIGSTOP)
            assert client.turn(thread, "say in its sleep") == "in its sleep"
            relay.send_signal(signal.SIGCONT)
            wait_for_account(client, there=True)

            with daemon.connect() as person:
                person.call("account/logout", {})
            wait_for_account(client, there=False)
            refused = client.receive_answer(client.begin("turn/start", {"threadId": thread, "input": []}))
            assert refused["error"]["message"].startswith("nobody is logged in: the login is on the machine behind")
            sandbox.script = APPROVED
            log_in(daemon)
            seen |= read_tokens(home)
            wait_for_account(client, there=True)
            assert client.turn(thread, "say once more") == "once more"
        for agent in find_agents(box):
            os.kill(agent, signal.SIGKILL)
        files = [file.read_bytes() for file in box.rglob("*") if file.is_file()]
        assert files
        assert not [token for token in seen if any(token in file for file in files)]
