"""`accountd token-socket`: what is asked of the daemon, and what is said of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accountd.cli import exits, main
from fakes.app_server import AppServer

if TYPE_CHECKING:
    from pathlib import Path

FOUND = {"path": "/box/s", "trouble": None}
TROUBLE = {"path": "/box/s", "trouble": "/box/s is a file"}
UNREACHED = "accountd: containers cannot connect: /box/s is a file\n"
NONE = "There is no token socket; `accountd token-socket open` opens one.\n"


@pytest.mark.parametrize(
    ("arguments", "found", "expected"),
    [
        ([], FOUND, (exits.OK, "/box/s\n", "")),
        (["status"], None, (exits.ERROR, NONE, "")),
        (["status"], TROUBLE, (exits.ERROR, "", UNREACHED)),
        (["open", "unix:///box/s"], FOUND, (exits.OK, "/box/s\n", "")),
        (["open", "/box/s"], TROUBLE, (exits.ERROR, "", UNREACHED)),
        (["close"], None, (exits.OK, "Closed: containers are handed no more tokens.\n", "")),
        (["close", "/box/s"], None, (exits.USAGE, "", "accountd: a path goes with open\n")),
    ],
)
def test_it_is_opened_closed_and_told_of(
    path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    found: dict[str, Any] | None,
    expected: tuple[int, str, str],
) -> None:
    """The path alone is on stdout where containers can connect; the exit code says whether they can."""
    script: Any = {
        "accountd/status": {"tokenSocket": found},
        "accountd/tokenSocket/open": lambda asked: {"tokenSocket": {**(found or {}), **asked}},
        "accountd/tokenSocket/close": {},
    }
    with AppServer(path, script):
        code = main(["token-socket", *arguments])
    assert (code, *capsys.readouterr()) == expected


def test_one_without_a_place_is_in_a_folder_of_its_own(
    path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside that of the daemon's sockets, and another one for each home."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    with AppServer(path, {"accountd/tokenSocket/open": lambda asked: {"tokenSocket": {**asked, "trouble": None}}}):
        assert main(["token-socket", "open"]) == exits.OK
    folder, _, name = capsys.readouterr().out.strip().rpartition("/")
    assert folder.startswith("/run/user/7/accountd-")
    assert (folder.endswith("-tokens"), name) == (True, "s")
