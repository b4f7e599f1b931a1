"""The Debian package: that it can be built, says nothing wrong of itself, is installed, runs, and leaves nothing.

It is installed on a copy of this system, of which what changes is kept in memory: an overlay, in a mount namespace.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from accountd import __version__
from accountd.cli import VERBS
from accountd.codex.version import CODEX_VERSION
from contrib.shells import needs
from generators.files import ROOT

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

_OVERLAY = """\
mount -t tmpfs none "$0" && cd "$0" && mkdir upper work root &&
mount -t overlay none -o lowerdir=/,upperdir=upper,workdir=work root && mount -t proc proc root/proc &&
chroot root sh -eu -c "$1" &&
cd upper && find . ! -type d ! -path './var/*' ! -path './tmp/*' ! -path './root/*' ! -path './dev/*' -print
"""

_LIFE = """\
export HOME=/tmp/ada XDG_RUNTIME_DIR=/tmp/ada LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
mkdir -m 700 /tmp/ada; cp "$PACKAGE" /tmp/a.deb; cd /
dpkg --install --force-depends /tmp/a.deb >/tmp/dpkg.log 2>&1
accountd --version
echo sk-test | accountd login --with-api-key
accountd token
accountd stop >/tmp/stop.log
man accountd-login >/tmp/man.log
dpkg --purge accountd >>/tmp/dpkg.log 2>&1
ls -d /usr/bin/accountd /usr/lib/accountd 2>&1 | grep -v "No such file" || true
"""


@pytest.fixture(scope="module")
def package() -> Path:
    """Build it."""
    command = ["make", "--no-print-directory", "deb"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        if "pip" in done.stderr and "CI" not in os.environ:
            pytest.skip("what the package is made of cannot be fetched")
        pytest.fail(done.stdout[-2000:] + done.stderr[-2000:])
    (built,) = (ROOT / "dist").glob(f"accountd_{__version__}_*.deb")
    return built


@needs("dh")
@needs("lintian")
def test_lintian_is_silent(package: Path) -> None:
    """Not one warning, and a man page for each verb."""
    done = subprocess.run(["lintian", "--allow-root", package], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    contents = subprocess.run(
        ["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True
    ).stdout
    missing = [verb for verb in VERBS if f"/man1/accountd-{verb}.1.gz" not in contents]
    assert missing == []


@needs("dh")
@needs("unshare")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can install a package")
def test_it_is_installed_runs_and_is_removed(package: Path, tmp_path: Path) -> None:
    """The installed command starts a daemon of its own; what is left after the purge is the system's own notes."""
    command = ["unshare", "--mount", "sh", "-eu", "-c", _OVERLAY, str(tmp_path), _LIFE]
    environ = {"PATH": os.defpath + ":/usr/sbin:/sbin", "PACKAGE": str(package)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if "overlay" in done.stderr:
        pytest.skip("this system has no overlays to try it on")
    assert (done.returncode, done.stderr) == (0, "")
    version = f"accountd for Codex {CODEX_VERSION}, release {__version__}"
    assert done.stdout.splitlines() == [version, "Logged in with an API key.", "sk-test"]
