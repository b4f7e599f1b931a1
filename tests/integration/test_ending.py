"""A real daemon that is ended, started anew and replaced by verbs, and one whose package is replaced under it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import accountd
from accountd.cli import exits
from accountd.client.blocking import Client
from compat.issuer import serve_issuer
from fakes.processes import PATIENCE, daemon_pid, run_verb, wait_until_it_listens

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the daemon's pid as Linux tells it")

Environ = dict[str, str]


def test_stop_and_restart(environ: Environ) -> None:
    """Each waits until the daemon has gone; what ends with it is said, and none is no error."""
    path = environ["ACCOUNTD_SOCKET"]
    none = run_verb(environ, "stop")
    assert (none.returncode, none.stdout) == (0, f"No daemon listens on {path}.\n")
    assert run_verb(environ, "restart").stdout.startswith("Started accountd ")
    first = daemon_pid(Path(path))
    again = run_verb(environ, "restart")
    second = daemon_pid(Path(path))
    assert again.returncode == 0
    assert [line.partition(", up")[0] for line in again.stdout.splitlines()] == [
        f"Stopped accountd {accountd.__version__}, pid {first}",
        f"Started accountd {accountd.__version__}, pid {second}",
    ]
    with Client(path):
        stopped = run_verb(environ, "stop")
    assert (stopped.returncode, stopped.stderr) == (0, "accountd: with it ended 1 other client\n")
    assert run_verb(environ, "status", "--no-start").returncode == 5


def test_one_of_a_service_manager_is_left_to_it(environ: Environ) -> None:
    """Its command is named: what anybody else ends, it would start anew."""
    with serving(environ, NOTIFY_SOCKET="/nowhere") as process:
        for verb in ("stop", "restart"):
            refused = run_verb(environ, verb)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert f"`systemctl --user {verb} accountd.service" in refused.stderr
        assert process.poll() is None


@contextmanager
def serving(
    environ: Environ, *options: str, python_path: str = "", **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run `accountd serve` by hand, until it listens."""
    command = [sys.executable, "-m", "accountd", "serve", *options]
    variables |= {"PYTHONPATH": python_path} if python_path else {}
    process = subprocess.Popen(command, env={**environ, **variables}, stderr=subprocess.PIPE, text=True, cwd="/")
    try:
        wait_until_it_listens(Path(environ["ACCOUNTD_SOCKET"]), process).close()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_person_names_a_proxy_and_tries_again(environ: Environ, tmp_path: Path) -> None:
    """The daemon of the first try is replaced by the second; one that was started by hand is not."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        environ.pop(name, None)
    with serve_issuer(tmp_path) as served:
        good = {"HTTPS_PROXY": served.proxy, "CODEX_CA_CERTIFICATE": str(served.ca_file)}
        failed = run_verb(environ | {"HTTPS_PROXY": "http://127.0.0.1:1"}, "login")
        assert failed.returncode == 1
        assert "the proxy http://127.0.0.1:1 of HTTPS_PROXY: Connection refused" in failed.stderr
        login = run_verb(environ | good, "login")
        assert (login.returncode, login.stderr) == (
            0,
            "accountd: the daemon was started with another CODEX_CA_CERTIFICATE and HTTPS_PROXY: "
            "another one takes its place\n",
        )
        assert run_verb(environ | good, "logout").stderr == ""
        run_verb(environ, "stop")
        with serving(environ, HTTPS_PROXY="http://127.0.0.1:1"):
            warned = run_verb(environ | good, "login")
            assert warned.returncode == 1
            assert "HTTPS_PROXY; somebody has started it by hand: `accountd restart`" in warned.stderr


@pytest.mark.parametrize(
    ("whole", "options", "code"), [(True, [], exits.UPGRADED), (False, ["--on-demand"], exits.OK)]
)
def test_a_package_that_is_replaced_under_a_daemon(
    whole: bool, options: list[str], code: int, environ: Environ, tmp_path: Path
) -> None:
    """It says so where it would need more of it, tells both versions, and ends when the last client has left.

    No module of the other version is loaded, be it there or not. The exit code has whoever runs it start the new
    one, unless the next client does.
    """
    package = tmp_path / "site" / "accountd"
    copy = partial(
        shutil.copytree, Path(accountd.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    copy()
    with serving(environ, *options, python_path=str(package.parent)) as process:
        with Client(environ["ACCOUNTD_SOCKET"], timeout=PATIENCE) as client:
            shutil.rmtree(package)
            copy() if whole else package.mkdir()
            (package / "__init__.py").write_text('__version__ = "9.8.7"\n')
            status = client.call("accountd/status", {})
            assert (status["version"], status["installedVersion"]) == (accountd.__version__, "9.8.7")
            assert "Daemon" in (shown := run_verb(environ, "status").stdout)
            assert "9.8.7 is installed now: `accountd restart`" in " ".join(shown.split())
            with pytest.raises(Exception, match=r"is 9\.8\.7 on the disk now, .*: `accountd restart`"):
                client.login_device_code()
        _, log = process.communicate(timeout=PATIENCE)
        assert process.returncode == code
        assert "stopping, since accountd is 9.8.7 on the disk now" in log
    assert run_verb(environ, "status").returncode == 3
    assert run_verb(environ, "stop").returncode == 0


def test_a_home_has_one_daemon_unless_a_person_wants_more(environ: Environ) -> None:
    """A verb that has another path for it names the one that runs; `serve` may be a second, with a warning."""
    first = environ["ACCOUNTD_SOCKET"]
    elsewhere = {**environ, "ACCOUNTD_SOCKET": f"{first}-2"}
    assert run_verb(environ, "restart").returncode == 0
    refused = run_verb(elsewhere, "status")
    assert (refused.returncode, refused.stdout) == (5, "")
    assert f"pid {daemon_pid(Path(first))}, listens on {first}, so no other one is started" in refused.stderr
    with serving(elsewhere) as process:
        assert run_verb(elsewhere, "status").returncode == 3
        assert run_verb(environ, "stop").returncode == 0
        process.terminate()
        process.wait(PATIENCE)
        assert process.stderr is not None
        assert f"another daemon serves {environ['CODEX_HOME']} as well, on {first}; " in process.stderr.read()
