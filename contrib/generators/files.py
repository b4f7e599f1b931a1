"""Which files there are, and their texts; nothing is written."""

from __future__ import annotations

from pathlib import Path

from accountd import __version__
from accountd.cli import build_parser
from accountd.cli.service.unit_files import render_launchd, render_systemd
from generators.bash import render_bash
from generators.command import read_command
from generators.fish import render_fish
from generators.man import render_man
from generators.zsh import render_zsh

FOLDER = Path(__file__).parents[1]
"""Where the files are kept: beside this package."""

_EXECUTABLE = "/usr/bin/accountd"
"""What the units run that a distribution would install; `accountd service install` writes its own path."""

_MAC = "/Users/ada/.accountd"
"""Launchd wants whole paths, and nobody's are the same."""

_OVERVIEW = Path(__file__).with_name("overview.txt")


def render_files() -> dict[str, str]:
    """Render every file from the parser as it is now, by its path in FOLDER."""
    root = read_command(build_parser())
    pages = render_man(root, version=__version__, overview=_OVERVIEW.read_text(encoding="utf-8"))
    return {
        f"completions/{root.name}.bash": render_bash(root),
        f"completions/_{root.name}": render_zsh(root),
        f"completions/{root.name}.fish": render_fish(root),
        **{f"man/{name}": text for name, text in pages.items()},
        **{f"systemd/{name}": text.decode() for name, text in render_systemd([_EXECUTABLE]).items()},
        "launchd/accountd.plist": render_launchd(
            [_EXECUTABLE], f"{_MAC}/run/accountd.sock", f"{_MAC}/log"
        ).decode(),
    }
