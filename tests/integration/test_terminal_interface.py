"""The terminal interface of Codex, in a terminal, on an app-server of ours with a real Codex behind it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from accountd import paths
from accountd.codex.version import CODEX_VERSION
from accountd.sandbox import Claims, Fault, Script
from accountd.system.foreign_servers import find_foreign_servers
from compat import peers
from fakes.front_client import running_front
from fakes.front_office import MODEL, open_office
from fakes.tmux import open_terminal

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes as Linux tells of them"),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux"),
    pytest.mark.timeout(600),  # the first of these tests fetches the app-server
]

OLDER = "0.169.0"
SETTINGS = 'sandbox_mode = "read-only"\n'
TRUST = '[projects."{folder}"]\ntrust_level = "trusted"\n'
BOB = Script(approve_after_polls=0, interval=0, claims=Claims(email="bob@example.com", account_id="b", user_id="b"))


@pytest.mark.parametrize(
    ("releases", "is_named"),
    [
        ((CODEX_VERSION, CODEX_VERSION), False),
        ((CODEX_VERSION, OLDER), True),
        ((OLDER, CODEX_VERSION), False),
        ((OLDER, OLDER), True),
    ],
    ids=lambda value: "-on-".join(value) if isinstance(value, tuple) else "by name" if value else "plain",
)
def test_a_person_has_a_whole_session(
    releases: tuple[str, str], is_named: bool, home: Path, path: Path, tmp_path: Path
) -> None:
    """Sign-in with a code, a turn, a token that is refused in one, an approval, another client's login, logout.

    With the socket's name, or as plain `codex`; and no server of Codex's own is started.
    """
    terminal, agent = releases
    with open_office(home, path, agent) as office:
        codex = str(peers.fetch(terminal))
        config = home / "config.toml"
        config.write_text(SETTINGS + config.read_text() + TRUST.format(folder=tmp_path))
        place = home / "f" if is_named else Path(paths.control_socket(office.environ))
        command = [codex, "--remote", f"unix://{place}"] if is_named else [codex]
        with (
            running_front(office.environ, place),
            office.connect(place) as other,
            open_terminal(home / "t", office.environ, tmp_path, *command) as screen,
        ):
            screen.wait("2. Sign in with Device Code")
            screen.press_until("2", "Signed in with your ChatGPT account")
            assert other.wait("account/login/completed")["success"]
            screen.press("Enter")
            screen.wait("Ask Codex to do anything", "? for shortcuts")

            screen.say("say hello, world")
            screen.wait("• hello, world")
            office.sandbox.script = Script(faults=(Fault(MODEL, 1, 401),))
            screen.say("say again")
            screen.wait("• again")
            screen.say("patch made")
            screen.wait("Would you like to make the following edits?")
            screen.press("Enter")
            screen.wait("The tool has answered")

            office.sandbox.script = BOB
            other.log_in()
            screen.say("/status")
            screen.wait("bob@example.com")
            assert "daemon" not in [server.role for server in find_foreign_servers(str(home))]
            screen.say("/logout")
            screen.wait_end()
            assert other.ask("account/read")["account"] is None
