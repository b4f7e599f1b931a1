"""Which files there are, and their texts; nothing is written."""

from __future__ import annotations

from pathlib import Path

from accountd import __version__
from accountd.cli import build_parser
from accountd.cli.service.unit_files import (
    render_launchd,
    render_launchd_agent,
    render_systemd,
    render_systemd_agent,
)
from generators.completions import render_completion
from generators.man import render_man

ROOT = Path(__file__).parents[2]
"""The project, with which every path begins."""

_EXECUTABLE = "/usr/bin/accountd"
"""What the units run that a distribution would install; `accountd service install` writes its own path."""

_MAC = "/Users/ada/.accountd"
"""Launchd wants whole paths, and nobody's are the same."""


def render_files() -> dict[str, str]:
    """Render every file from the parser as it is now, by its path in ROOT."""
    completions = "daemon/accountd/cli/completion"  # where `accountd completion` finds them
    pages = render_man(build_parser(), __version__)
    return {
        **{
            f"{completions}/accountd.{shell}": render_completion(build_parser(), shell)
            for shell in ("bash", "zsh", "fish")
        },
        **{f"contrib/man/{name}": text for name, text in pages.items()},
        **{f"contrib/systemd/{name}": text.decode() for name, text in render_systemd([_EXECUTABLE]).items()},
        **{
            f"contrib/systemd/{name}": text.decode()
            for name, text in render_systemd_agent([_EXECUTABLE], None).items()
        },
        "contrib/launchd/accountd-agent.plist": render_launchd_agent([_EXECUTABLE], None, f"{_MAC}/log").decode(),
        "contrib/launchd/accountd.plist": render_launchd(
            [_EXECUTABLE], f"{_MAC}/run/accountd.sock", f"{_MAC}/log"
        ).decode(),
    }
