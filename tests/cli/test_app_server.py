"""`accountd app-server`: the command lines of those who start `codex app-server`, and what is not for it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from accountd.cli import exits, main
from fakes.app_server import INITIALIZED, AppServer

if TYPE_CHECKING:
    from pathlib import Path

HELLO = {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "x", "version": "1"}}}


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with one request on its standard input."""
    command = [sys.executable, "-m", "accountd", *arguments]
    return subprocess.run(
        command, input=f"{json.dumps(HELLO)}\n", capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["app-server"], []),
        (["app-server", "--listen", "stdio://", "--no-start"], []),
        (["app-server", "--stdio"], []),
        (["app-server", "--analytics-default-enabled"], ["--analytics-default-enabled"]),
        (
            [
                "-c",
                "features.x=true",
                "app-server",
                "--analytics-default-enabled",
                "-c",
                "plugins.y@z.enabled=true",
            ],
            ["-c", "--analytics-default-enabled"],
        ),
        (
            ["--config", "k=sk-1", "--config=k2=sk-2", "-ck3=sk-3", "app-server", "--listen", "stdio://"],
            ["--config", "-c"],
        ),
        (
            ["app-server", "--strict-config", "--session-source", "sk-4", "--enable", "help", "--listen=stdio://"],
            ["--strict-config", "--session-source", "--enable"],
        ),
        (["app-server", "proxy", "--sock", "sk-5"], ["--sock"]),
    ],
)
def test_what_clients_of_codex_start(path: Path, arguments: list[str], flags: list[str]) -> None:
    """The daemon answers; flags it has no use for are named in one line, never their values."""
    with AppServer(path):
        done = start(*arguments)
    assert (done.returncode, json.loads(done.stdout)) == (exits.OK, {"id": 1, "result": INITIALIZED})
    note = f"accountd: app-server ignores {', '.join(flags)}; the daemon's settings are in config.toml\n"
    assert done.stderr == (note if flags else "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--listen", "ws://127.0.0.1:4500"],
            "unsupported --listen URL `ws://127.0.0.1:4500`; expected `stdio://`;",
        ),
        (["--listen", "unix:///tmp/s"], "use `accountd serve --listen unix://PATH`"),
        (["--listen", "off"], "unsupported --listen URL `off`"),
        (["generate-json-schema", "--out", "x"], "app-server cannot do `generate-json-schema`"),
        (["--strict-config", "daemon", "start"], "app-server cannot do `daemon`"),
        (["--startup-sign-out"], "app-server cannot do `--startup-sign-out`"),
    ],
)
def test_what_is_not_to_be_had_is_one_line(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Another transport, or another work than to serve, is exit code 2; nothing is connected to or started."""
    with AppServer(path) as server:
        assert main(["app-server", *arguments]) == exits.USAGE
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), server.requests) == ("", 1, [])
    assert words in err


def test_the_help_is_the_verbs_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """Options in front of the verb do not hide it, and those of the command itself are still its own."""
    assert main(["--config", "k=v", "app-server", "--help"]) == exits.OK
    assert "accountd has no agent" in capsys.readouterr().out
    assert main(["--help", "app-server"]) == exits.OK
    assert "exit codes:" in capsys.readouterr().out


def test_only_this_verb_ignores_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    """To the other verbs an unknown option is a wrong command line, before them or behind."""
    for arguments in (["status", "--strict-config"], ["--strict-config", "status"]):
        assert main(arguments) == exits.USAGE
        assert "unrecognized arguments: --strict-config" in capsys.readouterr().err
