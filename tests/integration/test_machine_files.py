"""The files of the machine in /etc, which the daemon finds in a mount namespace where they are of the test."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import CallFailed
from fakes.processes import PATIENCE, running

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.client.blocking import Client

_MOUNTS = (
    "mount -t tmpfs none /etc && mkdir /etc/codex /etc/accountd && "
    'mount --bind "$0" /etc/codex && mount --bind "$0" /etc/accountd && exec "$@"'
)


@pytest.fixture
def within(tmp_path: Path) -> list[str]:
    """Give the command below which /etc/codex is a folder of the test's."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces for this user")
    (tmp_path / "etc").mkdir()
    return [unshare, "-rm", "sh", "-c", _MOUNTS, str(tmp_path / "etc")]


def wait_for(client: Client, *, requires_openai_auth: bool) -> None:
    """Wait until clients are told so."""
    deadline = time.monotonic() + PATIENCE
    while client.call("account/read", {})["requiresOpenaiAuth"] != requires_openai_auth:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_administrators_word_holds(within: list[str], home: Path, tmp_path: Path) -> None:
    """It counts above the person's, of which the one that is given later is noticed as theirs is."""
    managed = tmp_path / "etc" / "managed_config.toml"
    managed.write_text('forced_login_method = "chatgpt"\nunknown = {\n a = 1,\n}\n')
    (home / "config.toml").write_text('forced_login_method = "api"\n')
    with running(home, under=within) as daemon, daemon.connect() as client:
        with pytest.raises(CallFailed, match="API key login is disabled"):
            client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-test"})
        wait_for(client, requires_openai_auth=True)
        managed.write_text('forced_login_method = "api"\nmodel_provider = "ollama"\n')
        wait_for(client, requires_openai_auth=False)
        daemon.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while client.call("configRequirements/read", {})["requirements"]["allowedLoginMethods"] != ["api"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_settings_for_everybody(within: list[str], home: Path, tmp_path: Path) -> None:
    """The proxy of the machine is used, and named by its setting; a person's limits go before the machine's."""
    settings = '[network]\nproxy = "http://127.0.0.1:9"\n[limits]\nguest_connections = 9\nunknown = 1\n'
    (tmp_path / "etc" / "accountd.toml").write_text(settings)
    with running(home, under=within) as daemon, daemon.connect() as client:
        assert client.read_status()["environment"]["network.proxy"] == "http://127.0.0.1:9"
        with pytest.raises(CallFailed, match=r"the proxy http://127.0.0.1:9 of network.proxy"):
            client.call("account/login/start", {"type": "chatgptDeviceCode"})
        log = daemon.stop()
    assert "/etc/accountd/accountd.toml:5: limits.unknown is not known" in log
