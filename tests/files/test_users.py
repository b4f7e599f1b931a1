"""Which users are told apart: in the namespaces that the kernel makes, and by whoever has to tell them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import DaemonUnreachable
from accountd.client.unix_socket import open_socket
from accountd.doctor.folders import check_socket
from accountd.errors import SocketError
from accountd.files import users
from accountd.files.users import UserNamespace, find_lookalikes, read_namespace
from accountd.system.peer_credentials import Peer
from accountd.system.unix_socket import open_inherited_listener, open_unix_listener
from fakes.surroundings import surroundings

if TYPE_CHECKING:
    from pathlib import Path

CONFUSED = UserNamespace((range(10),), os.geteuid())
"""What a process reads whose uid is that of everybody without a number."""


@pytest.fixture
def confused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the kernel say that we are nobody in particular."""
    monkeypatch.setattr(users, "read_namespace", lambda: CONFUSED)


def in_a_namespace(*options: str) -> bool:
    """Say whether a process in a new user namespace finds lookalikes."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--user", "true"], check=False).returncode:
        pytest.skip("no user namespaces for this user")
    code = "import sys; from accountd.files.users import find_lookalikes; sys.exit(find_lookalikes() is not None)"
    return bool(subprocess.run([unshare, *options, sys.executable, "-c", code], check=False).returncode)


def test_outside_of_a_namespace_everybody_has_a_number() -> None:
    """As in this process; also where somebody has the uid 65534, which is the user `nobody` then."""
    if read_namespace().others is not None:
        pytest.skip("these tests run in a user namespace")
    assert find_lookalikes() is None


@pytest.mark.process
def test_in_a_namespace_without_our_number_everybody_looks_like_us() -> None:
    """Nobody has a number there, and so we show as all others do."""
    assert in_a_namespace("--user")


@pytest.mark.process
def test_whoever_has_the_number_of_those_without_one_looks_like_them() -> None:
    """The uid is mapped, and that of others is shown as the same."""
    assert in_a_namespace("--user", "--map-user=65534")


@pytest.mark.process
def test_with_another_number_of_our_own_we_are_ourselves() -> None:
    """As in the namespace of a service's unit, or of a container: others look alike, but not like us."""
    assert not in_a_namespace("--user", "--map-user=1000")


@pytest.mark.parametrize(
    ("uid_map", "has_root"),
    [("0 0 4294967295", True), ("0 1000 1", False), ("1000 1000 1", False), ("0 1000 1\n1 100000 65536", False)],
)
def test_root_may_have_no_number_where_somebody_else_is_0(
    monkeypatch: pytest.MonkeyPatch, uid_map: str, has_root: bool
) -> None:
    """As in `unshare -r`, or in a container of a user's own: what is 0 there is that user."""
    files = {"/proc/self/uid_map": uid_map, "/proc/sys/kernel/overflowuid": "65534"}
    monkeypatch.setattr(users, "open", lambda path, **_: StringIO(files[path]), raising=False)
    assert read_namespace().has_root == has_root


@pytest.mark.usefixtures("confused")
def test_a_daemon_that_cannot_tell_its_clients_apart_serves_none(tmp_path: Path) -> None:
    """Neither on a path nor on a socket from a service manager."""
    with pytest.raises(SocketError, match="cannot be told from this one"), open_unix_listener(tmp_path / "s"):
        pass
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "inherited"))
        sock.listen()
        with pytest.raises(SocketError, match="cannot be told from this one"), open_inherited_listener(sock):
            pass


def test_a_client_that_cannot_tell_whose_daemon_it_is_sends_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might be anybody's. One of root's is root's."""
    path = tmp_path_factory.mktemp("s") / "s"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        for uid in (os.geteuid(), 12345):
            monkeypatch.setattr("accountd.client.unix_socket.peer_credentials", lambda _, uid=uid: Peer(uid, 1))
            monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
            monkeypatch.setattr(users, "read_namespace", lambda uid=uid: UserNamespace((), uid))
            if uid == 0:
                open_socket(path, 1.0).close()
            else:
                with pytest.raises(DaemonUnreachable, match="may be served by anybody"):
                    open_socket(path, 1.0)


@pytest.mark.usefixtures("confused")
def test_the_doctor_says_the_same(tmp_path: Path) -> None:
    """With what to do about it."""
    found = check_socket(surroundings(tmp_path))
    assert (found.verdict, found.remedy) == ("fail", users.REMEDY)
