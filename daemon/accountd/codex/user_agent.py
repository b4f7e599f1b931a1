"""Who this program says it is: the user agent, in the form that Codex's peers and clients parse."""

from __future__ import annotations

import os
import re
import sys
from functools import cache

from accountd import __version__
from accountd.codex.version import CODEX_VERSION
from accountd.files.read import read_file

DEFAULT_ORIGINATOR = "codex_cli_rs"
"""The name that Codex gives itself towards the issuer, whose client id this program shares."""

OS_RELEASE = "/etc/os-release"
"""Where a Linux system says which it is: os-release(5)."""


def render_user_agent(originator: str, *, client: str | None = None) -> str:
    """Write `ORIGINATOR/CODEX-VERSION (OS; ARCH) TERMINAL (CLIENT) accountd/OUR-VERSION`.

    What stands after the first slash is the version of the protocol, which clients decide features by; our
    own comes last. Characters that a header may not hold become `_`.
    """
    terminal = os.environ.get("TERM_PROGRAM") or os.environ.get("TERM") or "unknown"
    words = [f"{originator}/{CODEX_VERSION}", f"({_operating_system()}; {os.uname().machine})", terminal]
    if client is not None:
        words.append(f"({client})")
    words.append(f"accountd/{__version__}")
    return re.sub(r"[^\x20-\x7e]", "_", " ".join(words))


def platform_os() -> str:
    """Name the operating system as `initialize` does."""
    return "macos" if sys.platform == "darwin" else "linux"


@cache
def _operating_system() -> str:
    """Name the system and its version in three numbers, such as `Debian 12.0.0`, as they were at first."""
    if sys.platform == "darwin":
        return f"Mac OS {os.uname().release}"
    try:
        text = read_file(OS_RELEASE).decode()
    except (OSError, UnicodeDecodeError):
        return "Linux"
    fields = dict(re.findall(r'^(\w+)="?(.*?)"?$', text, re.MULTILINE))
    version = [*fields.get("VERSION_ID", "").split("."), "0", "0"][:3]
    return f"{fields.get('ID', 'linux').capitalize()} {'.'.join(version)}" if version[0] else "Linux"
