"""One server a socket, whoever starts, stops or is killed at the same moment."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from accountd.errors import SocketError
from accountd.system import instance_lock
from accountd.system.instance_lock import hold_instance_lock

if TYPE_CHECKING:
    from pathlib import Path


def test_one_holds_it_and_the_next_is_told_who(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a server listens, the next is refused without a wait and told its pid; afterwards nothing is left."""
    monkeypatch.setattr(instance_lock, "PATIENCE", math.inf)
    with hold_instance_lock(tmp_path / "s", lambda: False):
        assert [file.name for file in tmp_path.iterdir()] == ["s.lock"]
        assert (tmp_path / "s.lock").stat().st_mode & 0o777 == 0o600
        with (
            pytest.raises(SocketError, match=rf"by a running server \(pid {os.getpid()}\): .*/s$"),
            hold_instance_lock(tmp_path / "s", lambda: True),
        ):
            raise AssertionError("there are two")
    assert list(tmp_path.iterdir()) == []


def test_who_neither_comes_nor_goes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder that does not listen is waited for, and then named."""
    monkeypatch.setattr(instance_lock, "PATIENCE", 0.05)
    with hold_instance_lock(tmp_path / "s", lambda: False):
        with (
            pytest.raises(SocketError, match=rf"a server \(pid {os.getpid()}\) is starting or stopping"),
            hold_instance_lock(tmp_path / "s", lambda: False),
        ):
            raise AssertionError("there are two")


def test_who_is_about_to_go_is_waited_for(tmp_path: Path) -> None:
    """A server that starts while another one is stopping takes its turn."""
    waits = threading.Event()

    def listens() -> bool:
        waits.set()
        return False

    def follow() -> None:
        with hold_instance_lock(tmp_path / "s", listens):
            held.append((tmp_path / "s.lock").read_text())

    held: list[str] = []
    thread = threading.Thread(target=follow)
    with hold_instance_lock(tmp_path / "s", lambda: False):
        thread.start()
        assert waits.wait(5)
        assert not held
    thread.join(5)
    assert held == [f"{os.getpid()}\n"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_a_killed_holder_stops_nobody(tmp_path: Path) -> None:
    """The lock ends with the process, even by SIGKILL; the file that it left is taken over."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from accountd.system.instance_lock import hold_instance_lock\n"
        "with hold_instance_lock(Path(sys.argv[1]), lambda: True): print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path / "s"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
        holder.wait()
    assert (tmp_path / "s.lock").read_text() == f"{holder.pid}\n"
    with hold_instance_lock(tmp_path / "s", lambda: False):
        assert (tmp_path / "s.lock").read_text() == f"{os.getpid()}\n"


def test_a_file_that_was_removed_meanwhile_is_no_lock(tmp_path: Path) -> None:
    """Who locks a file just as its holder removes it has locked nothing, and looks again."""
    unlinked = tmp_path / "s.lock"
    unlinked.touch()
    with unlinked.open() as opened:
        unlinked.unlink()
        unlinked.touch()
        assert not instance_lock._lock_now(opened.fileno(), unlinked)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_of_ours_is_not_locked(tmp_path: Path, kind: str) -> None:
    """A link is not followed, and a pipe is not written to."""
    lock = tmp_path / "s.lock"
    if kind == "link":
        (tmp_path / "precious").write_text("precious")
        lock.symlink_to(tmp_path / "precious")
    else:
        os.mkfifo(lock)
    with pytest.raises((OSError, SocketError)), hold_instance_lock(tmp_path / "s", lambda: False):
        raise AssertionError("it was locked")
    assert kind == "pipe" or (tmp_path / "precious").read_text() == "precious"


@pytest.mark.process
def test_of_many_that_start_at_once_one_has_the_socket(tmp_path: Path) -> None:
    """Processes that start and stop on one socket, again and again, beside a stale one, never have it together."""
    program = (
        "import sys, trio; from pathlib import Path\n"
        "from accountd.system.unix_socket import open_unix_listener; from accountd.errors import SocketError\n"
        "path, mine = Path(sys.argv[1]), Path(sys.argv[1]).parent / 'alone'\n"
        "async def once():\n"
        "    try:\n"
        "        with open_unix_listener(path) as listener:\n"
        "            mine.mkdir()\n"  # which fails if another one is here as well
        "            ours = path.lstat().st_ino\n"
        "            await trio.lowlevel.checkpoint()\n"
        "            assert path.lstat().st_ino == ours\n"
        "            mine.rmdir()\n"
        "            await listener.aclose()\n"  # as the accept loop does, before the path is removed
        "        return 1\n"
        "    except SocketError as error:\n"
        "        assert 'already in use' in str(error) or 'starting or stopping' in str(error), error\n"
        "        return 0\n"
        "async def main(): print(sum([await once() for _ in range(200)]))\n"
        "trio.run(main)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "s")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    ended = [process.communicate(timeout=50) for process in started]
    assert [error for _, error in ended] == [b""] * 4
    assert sum(int(out) for out, _ in ended) > 4
    assert list(tmp_path.iterdir()) == []
