"""What a service manager is told, on a datagram socket of its own."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
import trio

from accountd.system.service_manager import open_service_manager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trio.testing import MockClock


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Give a manager's socket, and its name for NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@accountd-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0"))
        sock.setblocking(False)
        yield sock, name


def test_the_states_are_told(manager: tuple[socket.socket, str]) -> None:
    """Ready, reloading with the time that systemd wants, and stopping: a datagram each."""
    sock, name = manager
    with open_service_manager({"NOTIFY_SOCKET": name}) as told:
        told.tell_ready("serving")
        assert sock.recv(1000) == b"READY=1\nSTATUS=serving"
        told.tell_reloading()
        first, second, _ = sock.recv(1000).decode().split("\n")
        assert first == "RELOADING=1"
        assert second.removeprefix("MONOTONIC_USEC=").isdecimal()
        told.tell_stopping()
        assert sock.recv(1000) == b"STOPPING=1\nSTATUS=Stopping"


async def test_the_watchdog_is_fed_at_half_its_interval(
    manager: tuple[socket.socket, str], autojump_clock: MockClock
) -> None:
    """At once, and then twice in each interval."""
    sock, name = manager
    environ = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    with open_service_manager(environ) as fed, trio.move_on_after(31):
        await fed.feed_watchdog()
    assert [sock.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    with pytest.raises(BlockingIOError):
        sock.recv(100)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "x"},
        {"WATCHDOG_USEC": "9" * 400},
        {"WATCHDOG_USEC": "9" * 5000},
    ],
)
async def test_nothing_wakes_without_a_watchdog(
    manager: tuple[socket.socket, str], variables: dict[str, str]
) -> None:
    """Where none waits for us, or for another process, feeding it is over at once."""
    with open_service_manager({"NOTIFY_SOCKET": manager[1], **variables}) as fed:
        await fed.feed_watchdog()


def test_children_inherit_nothing_of_it() -> None:
    """The variables are gone from the environment, and nothing else is."""
    environ = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/h"}
    with open_service_manager(environ):
        assert environ == {"HOME": "/h"}


def test_a_manager_that_is_gone_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody at the address: it is said in the log, and the daemon goes on."""
    with open_service_manager({"NOTIFY_SOCKET": str(tmp_path / "gone")}) as told:
        told.tell_ready("serving")
    assert "cannot be told READY=1" in caplog.text


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_without_a_manager_nothing_is_said(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """No address, or none that a Unix socket can have."""
    with open_service_manager({"NOTIFY_SOCKET": address}) as told:
        told.tell_stopping()
    assert caplog.text == ""
