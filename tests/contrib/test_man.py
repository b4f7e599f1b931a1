"""The man pages: what is in which section, and how a reader of man pages shows it."""

from __future__ import annotations

import argparse
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from contrib.shells import needs
from generators.command import read_command
from generators.files import render_files
from generators.man import render_man
from generators.roff import code, parse_epilog, prose

if TYPE_CHECKING:
    from pathlib import Path

EPILOG = """\
A paragraph with `code --x` in it, and --an-option. Another sentence
on two lines.

.a line that begins like a request

formats:
  raw     as it is; a text
          on two lines
  x-y     another

exit codes:
  0  done

Behind it.

example, with quotes and backslashes:
  echo 'a' "b" `c` \\n ~ ^ - |
    .cat
  'tis

examples:
  prog one  two
"""


@pytest.fixture
def pages() -> dict[str, str]:
    """Give the pages of a small command line that has something of everything."""
    parser = argparse.ArgumentParser(prog="prog", description="Do things.", epilog=EPILOG)
    verbs = parser.add_subparsers()
    verb = verbs.add_parser("do-it", help="do 100%% of it", description="Do all of it.")
    ways = verb.add_mutually_exclusive_group()
    ways.add_argument("--fast", action="store_true", help="do it now")
    ways.add_argument("--slow", metavar="S", help="do it in S seconds (default: never)")
    verb.add_argument("--to", required=True, metavar="FILE", help="unix://PATH of it")
    verb.add_argument("what", nargs="*", help="what to do")
    verb.add_argument("--hidden", help=argparse.SUPPRESS)
    return render_man(read_command(parser), version="1.2", overview="First of all.\n\nfiles:\n  ~/x\n    It.")


def show(page: str, *, width: int = 80) -> str:
    """Format a page as man does; anything that groff complains about is an error."""
    command = ["groff", "-man", "-Tutf8", "-ww", f"-rLL={width}n", "-P-cbou"]
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def sections(shown: str) -> dict[str, list[str]]:
    """Part a formatted page at its headings, which are not indented."""
    parts = re.split(r"^([A-Z][A-Z ]+)$", shown, flags=re.MULTILINE)
    return {title: text.strip("\n").splitlines() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_an_epilog_is_parted() -> None:
    """Paragraphs stay in order, blocks become sections, and all examples are one section."""
    epilog = parse_epilog(EPILOG)
    assert [paragraph[0].split()[0] for paragraph in epilog.paragraphs] == ["A", r"\&.a", "Behind"]
    assert list(epilog.sections) == ["FORMATS", "EXIT STATUS", "EXAMPLES"]


def test_blocks_are_where_their_text_is() -> None:
    """A block below a sentence stays in its paragraph, and one below an empty line in its section."""
    epilog = parse_epilog("Type this on\nthe other machine:\n  a b\n\nexamples:\n  c\n\n  d\n    e\n\nText.")
    shown = [".RS 4", ".EX", ".EE", ".nh", ".RE"]
    assert epilog.paragraphs == [["Type this on the other machine:", *shown[:2], "a b", *shown[2:]], ["Text."]]
    assert epilog.sections == {
        "EXAMPLES": [*shown[:2], "c", *shown[2:], ".PP", *shown[:2], "d", "  e", *shown[2:]],
    }


def test_what_is_typed_can_be_copied() -> None:
    """In commands, hyphens, quotes and the like keep their ASCII selves; in a text, an option does."""
    assert code(r"""-'"`^~\.""") == r"\-\(aq\(dq\(ga\(ha\(ti\e."
    assert code(".x") == r"\&.x"
    assert code("'x") == r"\(aqx"
    assert prose("a well-known `a -b` and --c-d, $HOME_X") == (
        r"a well-known \fBa \-b\fR and \fB\-\-c\-d\fR, \fB$HOME_X\fR"
    )


@needs("groff")
def test_the_page_of_a_command(pages: dict[str, str]) -> None:
    """The overview, the description, the verbs, and every part of the epilog in its section, unharmed."""
    shown = show(pages["prog.1"])
    parts = sections(shown)
    assert list(parts) == [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "VERBS",
        "OPTIONS",
        "FORMATS",
        "EXIT STATUS",
        "FILES",
        "EXAMPLES",
        "SEE ALSO",
    ]
    assert parts["NAME"] == ["       prog - do things"]
    assert parts["SYNOPSIS"] == ["       prog VERB [OPTION ...]"]
    assert parts["DESCRIPTION"][-3:] == ["       .a line that begins like a request", "", "       Behind it."]
    assert parts["VERBS"][:2] == ["       do-it  Do 100% of it.", ""]
    assert parts["FORMATS"] == ["       raw    As it is; a text on two lines.", "", "       x-y    Another."]
    assert parts["EXAMPLES"] == [
        "       With quotes and backslashes:",
        """           echo 'a' "b" `c` \\n ~ ^ - |""",
        "             .cat",
        "           'tis",
        "",
        "           prog one  two",
    ]
    assert max(map(len, shown.splitlines())) <= 80


@needs("groff")
def test_the_page_of_a_verb(pages: dict[str, str]) -> None:
    """The synopsis shows what excludes each other and what must be there; what is hidden is nowhere."""
    page = pages["prog-do-it.1"]
    parts = sections(show(page))
    assert parts["NAME"] == ["       prog-do-it - do 100% of it"]
    assert parts["SYNOPSIS"] == ["       prog do-it [--fast | --slow S] --to FILE [WHAT ...]"]
    assert "       --slow S" in parts["OPTIONS"]
    assert "              unix://PATH of it." in parts["OPTIONS"]
    assert parts["EXIT STATUS"] == ["       As for every verb: see prog(1)."]
    assert "hidden" not in page


@pytest.mark.parametrize("name", [path for path in render_files() if path.endswith(".1")])
@needs("groff")
def test_every_page_is_shown_without_a_complaint(name: str) -> None:
    """There is nothing that groff warns of, no word is broken, and only a command may be longer than a line."""
    page = render_files()[name]
    shown = show(page, width=78)
    parts = sections(shown)
    assert {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "SEE ALSO"} <= parts.keys()
    assert "\N{HYPHEN}\n" not in shown
    assert [line for line in shown.splitlines() if len(line) > 80 and code(line.strip()) not in page] == []


@needs("mandoc")
def test_the_other_reader_has_no_complaint_either(tmp_path: Path) -> None:
    """mandoc, which macOS has, misses a date and nothing else: a page that bears one differs with every build."""
    for path, text in render_files().items():
        if path.endswith(".1"):
            (tmp_path / path.rpartition("/")[2]).write_text(text, encoding="utf-8")
    pages = sorted(tmp_path.iterdir())
    done = subprocess.run(["mandoc", "-T", "lint", *pages], capture_output=True, text=True, check=False)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line]
    assert (complaints, len(pages) >= 7) == ([], True)
