"""`accountd app-server`: the command lines of those who start `codex app-server`, and what is not for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from accountd.cli import exits, main
from accountd.codex.version import CODEX_VERSION
from accountd.protocol.schema import render_files
from accountd.protocol.schema.typescript import render_type_files
from fakes.app_server import INITIALIZED, AppServer, Refusal

if TYPE_CHECKING:
    from pathlib import Path

HELLO = {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "x", "version": "1"}}}
INITIALIZE = {"id": 1, "result": INITIALIZED}
THREADS = {"id": 2, "method": "thread/list", "params": {}}


@pytest.fixture
def codex(tmp_path: Path) -> Path:
    """Make a codex that says its version, and else notes its command line and fails."""
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$*" = --version ] && echo codex-cli 0.171.0 && exit\n'
        f'printf "%s\\n" "$@" >{tmp_path}/arguments; echo its own words >&2; exit 3\n'
    )
    program.chmod(0o755)
    return program


def start(*arguments: str, asks: tuple[object, ...] = (HELLO,), codex: Path | None = None) -> Any:
    """Run the command with some requests on its standard input, and the end of that."""
    return subprocess.run(
        [sys.executable, "-m", "accountd", *arguments],
        input="".join(f"{json.dumps(ask)}\n" for ask in asks),
        env={**os.environ, "PATH": str(codex.parent) if codex is not None else "/nowhere"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.process
@pytest.mark.parametrize(
    ("says", "version"),
    [("codex-cli 0.169.3", "0.169.3"), ("codex-cli 0.1.0", CODEX_VERSION), (None, CODEX_VERSION)],
)
def test_its_version_is_the_agents(codex: Path, says: str | None, version: str) -> None:
    """As Codex writes it, which clients look for; of the protocol where there is no agent that would do."""
    codex.write_text(f"#!/bin/sh\necho {says}\n")
    for flag in ("--version", "-V"):
        done = start("app-server", flag, codex=None if says is None else codex)
        assert (done.returncode, done.stdout) == (0, f"codex-cli {version}\n")


@pytest.mark.process
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], []),
        ([], ["--listen", "stdio://", "--no-start"]),
        (["-c", "features.x=true"], ["--stdio", "--analytics-default-enabled", "-c", "plugins.y@z.enabled=true"]),
        (["--config=k2=sk-2", "-ck3=sk-3"], ["--strict-config", "--session-source", "sk-4", "--enable", "help"]),
    ],
)
def test_what_clients_of_codex_start(
    path: Path, tmp_path: Path, codex: Path, before: list[str], after: list[str]
) -> None:
    """The daemon answers; and a codex is started with the flags on the side of the verb on which they stood."""
    with AppServer(path, {"account/token/read": Refusal(-32600, "nobody"), "getAuthStatus": {"authMethod": None}}):
        done = start(*before, "app-server", *after, asks=(HELLO, THREADS), codex=codex)
    answers = {message["id"]: message for message in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == exits.OK
    assert answers[1] == INITIALIZE
    assert "ended with 3 as it was started" in answers[2]["error"]["message"]
    assert done.stderr == "its own words\n"
    theirs = [flag for flag in after if flag not in ("--listen", "stdio://", "--no-start", "--stdio")]
    words = (tmp_path / "arguments").read_text().splitlines()
    assert words[: len(before) + 1 + len(theirs)] == [*before, "app-server", *theirs]


@pytest.mark.process
def test_without_a_codex_the_account_is_there_all_the_same(path: Path) -> None:
    """What needs one is told how to get it."""
    with AppServer(path):
        done = start("app-server", asks=(HELLO, THREADS))
    first, second = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, first) == (exits.OK, INITIALIZE)
    assert "npm install -g @openai/codex" in second["error"]["message"]


@pytest.mark.process
def test_what_needs_no_account_is_left_to_codex(path: Path, tmp_path: Path, codex: Path) -> None:
    """It takes the place of this process, with the whole command line."""
    done = start("-c", "a=b", "app-server", "generate-json-schema", "--out", "x", codex=codex)
    assert (done.returncode, done.stdout) == (3, "")
    words = (tmp_path / "arguments").read_text().splitlines()
    assert words == ["-c", "a=b", "app-server", "generate-json-schema", "--out", "x"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "ws://127.0.0.1:4500"], "unsupported --listen URL `ws://127.0.0.1:4500`"),
        (["--listen", "off"], "unsupported --listen URL `off`"),
        (["--listen", "stdio://", "--listen", "unix:///tmp/s"], "not both"),
        (["--startup-sign-out"], "use `accountd logout`"),
        (["--account-from", "/tmp/s"], "--account-from takes unix://PATH"),
        (["--account-from", "unix:///tmp/s", "--socket", "/tmp/t"], "leave --socket out"),
    ],
)
def test_what_is_not_to_be_had_is_one_line(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Another transport, or what would delete the login, is exit code 2; nothing is connected to or started."""
    with AppServer(path) as server:
        assert main(["app-server", *arguments]) == exits.USAGE
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), server.requests) == ("", 1, [])
    assert words in err


def test_the_help_is_the_verbs_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """Options in front of the verb do not hide it, and those of the command itself are still its own."""
    assert main(["--config", "k=v", "app-server", "--help"]) == exits.OK
    assert "never a refresh token" in capsys.readouterr().out
    assert main(["--help", "app-server"]) == exits.OK
    assert "exit codes:" in capsys.readouterr().out


def test_only_this_verb_ignores_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    """To the other verbs an unknown option is a wrong command line, before them or behind."""
    for arguments in (["status", "--strict-config"], ["--strict-config", "status"]):
        assert main(arguments) == exits.USAGE
        assert "accountd status: it has no option --strict-config" in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "name", "number"),
    [
        (["generate-ts", "--experimental", "--out", "types"], "v2/GetAccountResponse.ts", len(render_type_files())),
        (["generate-json-schema", "-o", "types"], "v2/GetAccountResponse.json", len(render_files())),
    ],
)
def test_types_are_written_without_a_codex(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], name: str, number: int
) -> None:
    """Those about accounts, which are the daemon's; it is said that there would be more, and what is missing."""
    monkeypatch.chdir(tmp_path)
    done = start("app-server", *words)
    assert (done.returncode, done.stdout) == (0, f"types: {number} files\n")
    assert "the part about accounts alone: there is no `codex` on PATH" in done.stderr
    assert (tmp_path / "types" / name).exists()
