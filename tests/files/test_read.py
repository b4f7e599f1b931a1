"""The one reader of files: what it gives, and what it does not wait for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from accountd.files.read import MAX_FILE, FileTooLarge, read_file

OBSTACLES = ("pipe", "device", "socket", "folder", "sparse file")


def put(kind: str, path: Path) -> None:
    """Put at a path what a file is expected at."""
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
        case "folder":
            path.mkdir()
        case _:
            path.touch()
            os.truncate(path, 3 << 30)


@pytest.mark.parametrize("kind", OBSTACLES)
def test_what_is_no_small_file_is_an_error_at_once(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nobody writes to the pipe, the device has no end, and the memory has no room for three gigabytes."""
    path = tmp_path_factory.mktemp("r") / "f"  # short enough for a socket
    put(kind, path)
    with pytest.raises(
        OSError, match=r"Not a regular file|Is a directory|No such device|larger than 1048576 bytes"
    ):
        read_file(path)


def test_the_limit_is_the_last_size_that_is_read(tmp_path: Path) -> None:
    """Nothing is cut in silence: one byte more is an error, which names the limit."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * 10)
    assert read_file(path, 10) == b"x" * 10
    with pytest.raises(FileTooLarge, match="larger than 9 bytes"):
        read_file(path, 9)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc is Linux's")
def test_a_file_that_does_not_tell_its_size_is_read_and_bounded() -> None:
    """Those of /proc say that they are empty."""
    assert b"Pid:" in read_file("/proc/self/status")
    with pytest.raises(FileTooLarge):
        read_file("/proc/self/status", 10)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """After an error, too."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * (MAX_FILE + 1))
    before = os.dup(0)
    with pytest.raises(FileTooLarge):
        read_file(path)
    after = os.dup(0)
    os.close(before)
    os.close(after)
    assert after == before + 1
