"""Codex processes with a login of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from subprocess import PIPE
from typing import TYPE_CHECKING

import pytest

from accountd.system.foreign_servers import (
    ForeignServer,
    Process,
    choose_foreign,
    describe_foreign,
    find_foreign_servers,
    parse_ps,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOME = {"CODEX_HOME": "/h"}
APP_SERVER = ["codex", "app-server"]


@pytest.mark.parametrize(
    ("environ", "is_found"),
    [
        ({"CODEX_HOME": "/h"}, True),
        ({"CODEX_HOME": "/h/../h/", "HOME": "/p"}, True),
        ({"CODEX_HOME": "", "HOME": "/p"}, False),
        ({"CODEX_HOME": "h"}, False),
        ({}, False),
    ],
)
def test_those_of_another_home_are_left_out(environ: dict[str, str], is_found: bool) -> None:
    """A process belongs to the CODEX_HOME of its own environment."""
    assert bool(choose_foreign([Process(7, APP_SERVER, environ)], "/h", is_shared=True)) is is_found


def test_the_usual_home_needs_no_variable() -> None:
    """Without CODEX_HOME it is the folder in that person's home."""
    assert choose_foreign([Process(7, APP_SERVER, {"HOME": "/p"})], "/p/.codex", is_shared=True)


@pytest.mark.parametrize(
    ("words", "files", "is_shared", "is_found"),
    [
        (["codex"], (), True, False),
        (["codex"], (), False, True),
        (["codex", "--no-daemon"], (), True, True),
        (["codex"], ("/h/state_5.sqlite", "/h/thread-writer-locks/1.lock"), True, True),
    ],
)
def test_a_terminal_that_uses_the_shared_server_has_no_login(
    words: list[str], files: tuple[str, ...], is_shared: bool, is_found: bool
) -> None:
    """One that runs threads itself has."""
    assert bool(choose_foreign([Process(7, words, HOME, files)], "/h", is_shared=is_shared)) is is_found


def test_what_ps_prints_is_read() -> None:
    """The words of a command end where its variables begin."""
    text = '  7 /opt/codex app-server -c a="b" HOME=/p CODEX_HOME=/h\n12 codex exec x\n'
    assert list(parse_ps(text)) == [
        Process(7, ["/opt/codex", "app-server", "-c", 'a="b"'], {"HOME": "/p", "CODEX_HOME": "/h"}),
        Process(12, ["codex", "exec", "x"], {}),
    ]


def test_it_is_said_what_to_do() -> None:
    """Codex's daemon has a command that ends it; the others are their clients' to end."""
    assert describe_foreign([ForeignServer(7, "daemon"), ForeignServer(12, "exec")]) == (
        "Codex's own daemon (pid 7), codex exec (pid 12)",
        "`codex app-server daemon stop` ends Codex's own daemon; restart the client that has started it, or end it "
        "there",
    )


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that is called codex, for the home tmp_path."""
    program, environ = shutil.which("cat") or "", {**os.environ, "CODEX_HOME": str(tmp_path)}
    with subprocess.Popen(["codex"], executable=program, env=environ, stdin=PIPE, stdout=PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"\n")
        running.stdin.flush()
        running.stdout.readline()  # the kernel has its words by now
        yield running


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_the_system_is_asked(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A real process is found, and not for another home."""
    assert find_foreign_servers(str(tmp_path)) == [ForeignServer(process.pid, "terminal")]
    assert find_foreign_servers(str(tmp_path / "another")) == []
