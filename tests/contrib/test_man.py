"""The man pages: what is in which section, and how a reader of man pages shows it."""

from __future__ import annotations

import argparse
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from accountd.cli.parsing import Parser
from contrib.shells import needs
from generators.files import render_files
from generators.man import render_man

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {path.rpartition("/")[2]: text for path, text in render_files().items() if path.endswith(".1")}

EPILOG = """\
A paragraph. Another sentence
on two lines:
  as it is

.a line that begins like a request

formats:
  raw     as it is; a text
          on two lines
  x-y     another

Behind it.

example, with quotes and backslashes, over SSH:
  echo 'a' "b" `c` \\n ~ ^ - |
    .cat
  'tis

examples:
  prog one  two
"""


def show(page: str) -> str:
    """Format a page as man does; anything that groff complains about is an error."""
    command = ["groff", "-man", "-Tutf8", "-ww", "-rLL=80n", "-P-cbou"]
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def sections(shown: str) -> dict[str, list[str]]:
    """Part a formatted page at its headings, which are not indented."""
    parts = re.split(r"^([A-Z][A-Z ]+)$", shown, flags=re.MULTILINE)
    return {title: text.strip("\n").splitlines() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


@needs("groff")
def test_a_page_shows_what_help_shows() -> None:
    """Every part of an epilog is in its section, unharmed; what is hidden is nowhere."""
    parser = Parser(prog="prog", description="Do things.")
    verb = parser.add_subparsers().add_parser("do-it", help="do all of it", epilog=EPILOG)
    verb.add_argument("--slow", metavar="S", help="do it in S seconds (default: never)")
    verb.add_argument("--hidden", help=argparse.SUPPRESS)
    pages = render_man(parser, "1.2")
    parts = sections(show(pages["prog-do-it.1"]))
    assert list(parts) == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "FORMATS", "EXAMPLES", "SEE ALSO"]
    assert parts["NAME"] == ["       prog-do-it - do all of it"]
    assert parts["SYNOPSIS"] == ["       prog do-it [-h] [--slow S]"]
    assert parts["DESCRIPTION"] == [
        "       A paragraph. Another sentence on two lines:",
        "           as it is",
        "",
        "       .a line that begins like a request",
        "",
        "       Behind it.",
    ]
    assert parts["OPTIONS"] == ["       --slow S", "              do it in S seconds (default: never)"]
    assert parts["FORMATS"] == ["       raw    as it is; a text on two lines", "", "       x-y    another"]
    assert parts["EXAMPLES"] == [
        "       With quotes and backslashes, over SSH:",
        """           echo 'a' "b" `c` \\n ~ ^ - |""",
        "             .cat",
        "           'tis",
        "",
        "           prog one  two",
    ]
    assert "--slow" not in pages["prog.1"]


@pytest.mark.parametrize("name", PAGES)
@needs("groff")
def test_every_page_is_shown_without_a_complaint(name: str) -> None:
    """There is nothing that groff warns of, and no word is broken."""
    shown = show(PAGES[name])
    assert {"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"} <= sections(shown).keys()
    assert "\N{HYPHEN}\n" not in shown


@needs("mandoc")
def test_the_other_reader_has_no_complaint_either(tmp_path: Path) -> None:
    """mandoc, which macOS has, misses a date and nothing else: a page that bears one differs with every build."""
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = ["mandoc", "-T", "lint", "-W", "warning", *map(str, tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line]
    assert (complaints, len(PAGES) >= 7) == ([], True)
