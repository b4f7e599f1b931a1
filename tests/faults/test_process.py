"""A real daemon, its real sockets and TLS, the real disk: what the matrices say, held to the truth."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import ConnectionLost
from fakes.processes import PATIENCE, PORTS
from faults.daemon import Case, open_case, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="prlimit, /proc and mounts are Linux's"),
]

QUICK = ("reset in the handshake", "plain HTTP", "certificate expired", "closed before the request", "portal")
REST = (
    "refused",
    "noise",
    "closed in the handshake",
    "certificate of an unknown authority",
    "certificate of another host",
    "closed after the request",
    "cut in the body",
    "reset in the head",
    "reset in the body",
    "out of TLS",
    "no HTTP",
    "endless head",
    "endless body",
    "bomb",
    "bomb in a bomb",
    "handshake hangs",
    "silence",
)


def is_clear(error: str | None) -> bool:
    """Say whether there is an error, and one for a person."""
    return error is not None and "internal error" not in error and not re.search(r"[a-z]Error\b|_ssl", error)


def end(case: Case) -> str:
    """Stop the daemon as a service manager does, and give its log, in which nobody foresaw anything else."""
    case.client.close()
    log = case.daemon.stop()
    assert case.daemon.process.returncode == 0
    assert "Traceback" not in log
    assert "not foreseen" not in log
    return log


def hold_to_the_network(home: Path, faults: tuple[str, ...]) -> None:
    """Refresh and log in with each of the faults, and without it."""
    with open_case(home) as case:
        assert case.log_in() is None
        for fault in faults:
            case.network.fault = fault
            assert is_clear(case.refresh()), fault
            assert is_clear(case.log_in()), fault
            case.network.fault = None
            assert case.is_stored_well(), fault
            assert case.refresh() is None, fault
            assert case.is_stored_well(), fault
        assert case.log_in() is None
        end(case)


def test_a_real_network_in_trouble(home: Path) -> None:
    """Over TCP and TLS, too, each fault is told, nothing is lost, and the same daemon goes on."""
    hold_to_the_network(home, QUICK)


@pytest.mark.whole
@pytest.mark.timeout(300)
def test_a_real_network_in_every_trouble(home: Path) -> None:
    """The rest of the faults, those that take half a minute as well."""
    hold_to_the_network(home, REST)


@contextmanager
def full_disk(case: Case) -> Iterator[str]:
    """Let no file of the daemon's grow: as a disk that is full, without one."""
    case.limit(resource.RLIMIT_FSIZE, 0)
    yield "File too large"
    case.limit(resource.RLIMIT_FSIZE, None)


@contextmanager
def really_full_disk(case: Case) -> Iterator[str]:
    """Fill the disk, to the last byte and the last inode."""
    ballast = case.home / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    yield "No space left on device"
    ballast.unlink()


@contextmanager
def read_only_disk(case: Case) -> Iterator[str]:
    """Have the folder read-only, by mounting it over itself: the disk is busy with a lock of the daemon's."""
    subprocess.run(["mount", "--bind", case.home, case.home], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", case.home], check=True)
    yield "Read-only file system"
    subprocess.run(["umount", case.home], check=True)


@contextmanager
def immutable_folder(case: Case) -> Iterator[str]:
    """Have nothing in the folder made or renamed, by root neither."""
    subprocess.run(["chattr", "+i", case.home], check=True)
    yield "Operation not permitted"
    subprocess.run(["chattr", "-i", case.home], check=True)


def hold_to_the_disk(case: Case, trouble: object, *, refreshes: bool) -> None:
    """Refresh, log in and log out while the disk takes nothing, and afterwards."""
    assert case.log_in() is None
    stored = (case.home / "auth.json").read_bytes()
    with trouble(case) as words:  # type: ignore[operator]  # one of those above
        if refreshes:  # the issuer gives new tokens, and only memory has them
            assert case.refresh() is None
            assert not case.is_stored_well()
        else:
            assert words in str(case.refresh())
            assert case.is_stored_well()
        assert words in str(case.log_in())
        assert words in str(case.call("account/login/start", {"type": "apiKey", "apiKey": "sk-of-nobody-at-all"}))
        if not refreshes:
            assert words in str(case.call("account/logout"))
        assert case.call("account/read") is None
        assert (case.home / "auth.json").read_bytes() == stored
    assert case.refresh() is None
    assert case.is_stored_well()
    assert case.call("account/logout") is None
    assert not (case.home / "auth.json").exists()
    assert case.log_in() is None
    assert case.is_stored_well()


def test_a_full_disk_loses_no_token(home: Path) -> None:
    """What the issuer gave for a spent token is used from memory, and stored when there is room."""
    with open_case(home) as case:
        hold_to_the_disk(case, full_disk, refreshes=True)
        log = end(case)
    words = "the refreshed token is in memory alone until the store takes it"
    assert f"{words}: {home}/auth.json cannot be written: File too large" in log


def test_a_daemon_that_ends_with_tokens_in_memory_tries_once_more(home: Path) -> None:
    """When the disk has room by then, the next daemon has the login."""
    with open_case(home) as case:
        assert case.log_in() is None
        with full_disk(case):
            assert case.refresh() is None
            assert not case.is_stored_well()
        end(case)
        assert case.is_stored_well()


@contextmanager
def mounted(home: Path) -> Iterator[None]:
    """Have a small disk of its own for the home; where none can be mounted, the test is skipped."""
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "accountd-test", str(home)]
    if os.getuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", home], check=True)


@pytest.mark.whole
@pytest.mark.parametrize("trouble", [really_full_disk, read_only_disk, immutable_folder])
def test_a_real_disk_in_trouble(trouble: object, home: Path) -> None:
    """A file system that is full, read-only, or in which nothing may be made."""
    with mounted(home):
        if trouble is immutable_folder and not _can_be_immutable(home):
            pytest.skip("this file system knows no such thing")
        with open_case(home) as case:
            hold_to_the_disk(case, trouble, refreshes=trouble is not read_only_disk)
            end(case)


def _can_be_immutable(home: Path) -> bool:
    probe = home / "probe"
    probe.mkdir()
    done = subprocess.run(["chattr", "+i", probe], capture_output=True, check=False).returncode == 0
    if done:
        subprocess.run(["chattr", "-i", probe], check=True)
    probe.rmdir()
    return done


@pytest.mark.whole
def test_tokens_in_memory_are_stored_by_themselves(home: Path) -> None:
    """Within half a minute of the disk having room, without anybody asking."""
    with open_case(home) as case:
        assert case.log_in() is None
        with full_disk(case):
            assert case.refresh() is None
            assert not case.is_stored_well()
        wait_until(case.is_stored_well, 35)
        end(case)


def hold_to_few_descriptors(home: Path, rooms: range) -> None:
    """Do everything while there is only so much room for descriptors, and then with as much as there was."""
    with open_case(home) as case:
        assert case.log_in() is None
        for room in rooms:
            case.limit(resource.RLIMIT_NOFILE, case.descriptors() + room)
            for attempt in (case.refresh, case.log_in, lambda: case.call("account/rateLimits/read")):
                error = attempt()
                assert error is None or is_clear(error), (room, error)
            browser = case.call("account/login/start", {"type": "chatgpt"})
            assert browser is None or is_clear(browser), (room, browser)
            case.limit(resource.RLIMIT_NOFILE, None)
            assert case.call("account/read") is None, room
            assert case.refresh() is None, room
            assert case.is_stored_well(), room
            assert case.log_in() is None, room
        end(case)


def test_few_descriptors(home: Path, loopback: None) -> None:
    """A daemon that can open nothing, or not enough, says so; its timers, its login and its tokens survive."""
    hold_to_few_descriptors(home, range(2))


def test_the_port_of_a_login_without_descriptors(home: Path, loopback: None) -> None:
    """A browser waits until there is room, and has its page then; the log says so once, not ten times a second."""
    with open_case(home) as case:
        assert case.call("account/login/start", {"type": "chatgpt"}) is None
        case.limit(resource.RLIMIT_NOFILE, 0)
        with socket.create_connection(("127.0.0.1", PORTS[0]), PATIENCE) as browser:
            browser.sendall(b"GET /favicon.ico HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % PORTS[0])
            browser.settimeout(0.3)
            with pytest.raises(TimeoutError):  # in this time it is tried three times, in vain
                browser.recv(4096)
            browser.settimeout(PATIENCE)
            case.limit(resource.RLIMIT_NOFILE, None)
            assert browser.recv(4096).startswith(b"HTTP/1.1 404 ")
        log = end(case)
    assert log.count("no more clients for now, until there is room: Too many open files (os error 24)") == 1
    assert log.count("there is room for clients again") == 1


@pytest.mark.whole
@pytest.mark.timeout(300)
def test_ever_more_descriptors(home: Path, loopback: None) -> None:
    """Wherever it is that they run out."""
    hold_to_few_descriptors(home, range(2, 12))


def test_the_first_request_of_all_without_descriptors(home: Path) -> None:
    """What is loaded on first use cannot be loaded: that is told, and it is loaded the next time."""
    with open_case(home) as case:
        for room in (0, 1, 2, 4):
            case.limit(resource.RLIMIT_NOFILE, case.descriptors() + room)
            error = case.log_in()
            assert error is None or is_clear(error), (room, error)
        case.limit(resource.RLIMIT_NOFILE, None)
        assert case.log_in() is None
        end(case)


@pytest.mark.whole
def test_little_memory(home: Path) -> None:
    """Without room for another mapping there are no threads and no big messages; the daemon goes on."""
    with open_case(home) as case:
        assert case.log_in() is None
        status = Path(f"/proc/{case.daemon.process.pid}/status").read_text()
        used = int(status.partition("VmSize:")[2].split()[0]) * 1024
        for room in (0, 1 << 18, 1 << 20, 1 << 22):
            case.limit(resource.RLIMIT_AS, used + room)
            for _ in range(3):
                with suppress(ConnectionLost), case.daemon.connect() as case.client:
                    error = case.refresh()
                    assert error is None or is_clear(error), (room, error)
                    case.call("account/login/cancel", {"loginId": "x" * 900_000})  # for which there may be no room
            case.limit(resource.RLIMIT_AS, None)
            with case.daemon.connect() as case.client:
                if case.refresh() is not None:  # an answer that there was no room to read is an answer that is lost
                    assert case.log_in() is None
                assert case.refresh() is None
                assert case.is_stored_well()
        end(case)
