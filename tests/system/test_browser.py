"""Which browser is opened, if any, and what it is given."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from accountd.system.browser import Browser, NoBrowser, choose_browser, open_browser

URL = "https://auth.example.com/authorize?a=1&b=$(touch%20x);c='d'"
SSH = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}
DISPLAY = {"DISPLAY": ":0"}
WSL = {"WSL_DISTRO_NAME": "Debian"}
REMOTE, NO_DISPLAY = "this is a remote session (SSH)", "there is no display here"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Give a folder for the programs of a test."""
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def install(programs: Path, *names: str) -> dict[str, str]:
    """Put programs into the PATH that is given back."""
    for name in names:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o700)
    return {"PATH": str(programs)}


@pytest.mark.parametrize(
    ("environ", "platform", "installed", "chosen"),
    [
        (DISPLAY, "linux", ["firefox", "xdg-open"], "xdg-open"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", ["firefox"], "firefox"),
        (DISPLAY, "linux", ["lynx"], NoBrowser("none was found here")),
        ({}, "linux", ["xdg-open"], NoBrowser(NO_DISPLAY)),
        ({"DISPLAY": ""}, "linux", ["xdg-open"], NoBrowser(NO_DISPLAY)),
        ({}, "darwin", ["open", "firefox"], "open"),
        ({}, "darwin", [], NoBrowser("none was found here")),
        ({**SSH, **DISPLAY}, "linux", ["xdg-open"], NoBrowser(REMOTE)),
        ({"SSH_TTY": "/dev/pts/1"}, "darwin", ["open"], NoBrowser(REMOTE)),
        (WSL, "linux", ["wslview", "xdg-open"], "wslview"),
        ({"WSL_INTEROP": "/run/WSL/1_interop", **DISPLAY}, "linux", ["xdg-open"], "xdg-open"),
        (WSL, "linux", ["xdg-open", "powershell.exe"], NoBrowser(NO_DISPLAY)),
        ({**WSL, **SSH}, "linux", ["wslview"], NoBrowser(REMOTE)),
    ],
)
def test_the_usual_browser(
    programs: Path, environ: dict[str, str], platform: str, installed: list[str], chosen: str | NoBrowser
) -> None:
    """Without BROWSER it is the platform's own way, where the person can see what it opens."""
    expected = Browser((str(programs / chosen),)) if isinstance(chosen, str) else chosen
    assert choose_browser({**environ, **install(programs, *installed)}, platform) == expected


@pytest.mark.parametrize(
    ("named", "environ", "chosen"),
    [
        ("", DISPLAY, NoBrowser("BROWSER says so")),
        (" ", DISPLAY, NoBrowser("BROWSER says so")),
        ("none", DISPLAY, NoBrowser("BROWSER says so")),
        ("firefox", DISPLAY, ["firefox"]),
        ("absent:firefox", DISPLAY, ["firefox"]),
        ("absent:none:firefox", DISPLAY, NoBrowser("nothing that BROWSER names was found")),
        ("absent", DISPLAY, NoBrowser("nothing that BROWSER names was found")),
        (":", DISPLAY, NoBrowser("nothing that BROWSER names was found")),
        ("'unclosed:firefox", DISPLAY, ["firefox"]),
        ("firefox --new-window '%s' &", DISPLAY, ["firefox", "--new-window", "%s"]),
        ("helper -u=%s", SSH, ["helper", "-u=%s"]),
        ("firefox", SSH, NoBrowser(REMOTE)),
        ("firefox", {**SSH, **DISPLAY}, NoBrowser(REMOTE)),
        ("firefox", {}, NoBrowser(NO_DISPLAY)),
        ("firefox:helper", {}, ["helper"]),
        ("lynx", DISPLAY, NoBrowser("lynx needs this terminal")),
        ("lynx:firefox", DISPLAY, ["firefox"]),
        ("helper Start-Process", WSL, ["helper", "Start-Process"]),
    ],
)
def test_a_browser_that_is_named(
    programs: Path, named: str, environ: dict[str, str], chosen: list[str] | NoBrowser
) -> None:
    """BROWSER is a list of commands; empty or `none` is none; what the person would not see is passed over."""
    path = install(programs, "firefox", "helper", "lynx", "xdg-open")
    expected = Browser((str(programs / chosen[0]), *chosen[1:])) if isinstance(chosen, list) else chosen
    assert choose_browser({"BROWSER": named, **environ, **path}, "linux") == expected


def test_a_named_browser_may_be_a_path(programs: Path) -> None:
    """A program outside of PATH is named by its path, with blanks if it is quoted."""
    install(programs, "my browser")
    environ = {"BROWSER": f"'{programs}/my browser' %s", "PATH": "/nowhere"}
    assert choose_browser(environ, "linux") == Browser((f"{programs}/my browser", "%s"))


@pytest.mark.process
@pytest.mark.parametrize(("words", "arguments"), [(["-x"], ["-x", URL]), (["u=%s", "-x"], [f"u={URL}", "-x"])])
def test_the_browser_gets_the_address_and_nothing_else(
    programs: Path, words: list[str], arguments: list[str]
) -> None:
    """No shell reads the address; the browser has its own session, no terminal, and is not waited for."""
    script, started, facts = programs / "browser", programs / "started", programs / "facts"
    script.write_text(f"""#!{sys.executable}
import json, os, sys
os.mkfifo({str(started)!r})
open({str(started)!r}).close()
facts = {{
    "arguments": sys.argv[1:],
    "leads": os.getsid(0) == os.getpid(),
    "devices": [os.fstat(number).st_rdev for number in range(3)],
    "secret": os.environ["SECRET"],
    "open": [number for number in range(3, 100) if os.path.exists(f"/dev/fd/{{number}}")],
}}
with open({str(facts)!r} + ".part", "w") as file:
    json.dump(facts, file)
os.rename({str(facts)!r} + ".part", {str(facts)!r})
""")
    script.chmod(0o700)
    with script.open() as ours:
        assert open_browser(Browser((str(script), *words)), URL, {**os.environ, "SECRET": "kept"}) is None
        wait_for(started)
        started.write_text("")  # it could not have gone on before: nobody waited for it
        wait_for(facts)
        told = json.loads(facts.read_text())
        assert ours.fileno() not in told.pop("open")
    null = Path(os.devnull).stat().st_rdev
    assert told == {"arguments": arguments, "leads": True, "devices": [null] * 3, "secret": "kept"}


def wait_for(path: Path) -> None:
    """Wait until another process has made a file."""
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"there is no {path.name}"
        time.sleep(0.01)


@pytest.mark.process
def test_a_browser_that_cannot_be_started_is_a_reason(programs: Path) -> None:
    """A program that is not there any more is no exception."""
    reason = open_browser(Browser((f"{programs}/gone",)), URL, {})
    assert reason == NoBrowser(f"{programs}/gone cannot be started: No such file or directory (os error 2)")


@pytest.mark.parametrize(
    "url", ["--version", "file:///etc/passwd", "javascript:alert(1)", "https://a b", "https://ä"]
)
def test_only_web_addresses_are_opened(programs: Path, url: str) -> None:
    """What a daemon sends is neither an option nor a file nor a scheme for another program."""
    assert open_browser(Browser((f"{programs}/gone",)), url, {}) == NoBrowser("this is no address for a browser")
