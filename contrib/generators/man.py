"""The man pages: one for the command, and one for each of its verbs. argparse-manpage writes them from the parser.

An epilog it would fill into one paragraph, examples and tables included. So that is parted here: an indented block
keeps its lines, or is a list of words and meanings. It is a section of the page if the line above it is a heading,
like `formats:` or `example, all in one shell:`; the rest describes the command. The pages bear no date: the same
parser always gives the same pages.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

from argparse_manpage.manpage import Manpage

if TYPE_CHECKING:
    from collections.abc import Iterable

_OVERVIEW = Path(__file__).with_name("overview.man")
"""What the command's own page alone says: roff, below the name of each section in brackets."""

_TITLES = {"example": "examples", "exit codes": "exit status"}
"""What some headings are called in man pages."""

_TYPED = str.maketrans({"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"})
"""What a reader of man pages shows as another character, so that it cannot be copied, unless it is written so."""


def render_man(parser: argparse.ArgumentParser, version: str) -> dict[str, str]:
    """Write all pages, by their file names. The parser is changed, so that it is to be a fresh one."""
    [verbs] = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    root, summary = parser.prog, (parser.description or "").rstrip(".")
    pages = {}
    for verb in verbs._choices_actions:
        page = _begin(verbs.choices[verb.dest], f"{root}-{verb.dest}", verb.help or "", version)
        page.add_section("see also", "=", _refer([root]))
        pages[page.prog] = page
    verbs.choices.clear()  # else the page of the command would have all of theirs in it
    page = _begin(parser, root, summary[:1].lower() + summary[1:], version)
    page.parse_include(str(_OVERVIEW))
    page.add_section("see also", "=", _refer(pages))
    return {f"{name}.1": re.sub(r"\n{2,}", "\n", str(page)) for name, page in {root: page, **pages}.items()}


def _begin(parser: argparse.ArgumentParser, name: str, summary: str, version: str) -> Manpage:
    page = Manpage(parser, {"description": summary, "manual_title": "User Commands"})
    page.prog, page.source, page.date = name, f"{name.partition('-')[0]} {version}", ""
    sections = _part(parser.epilog or "", parser.description or "")
    parser.description = parser.epilog = None
    usage = _escape(" ".join(page.synopsis))
    usage = re.sub(r"\[.*?\]", lambda option: option[0].replace(" ", r"\~"), usage)  # which is not broken then
    page.add_section("synopsis", "=", f".nh\n.ad l\n{usage}")
    for title, blocks in sections.items():
        page.add_section(title, "=", "\n.PP\n".join(filter(None, blocks)) + "\n")
    return page


def _refer(names: Iterable[str]) -> str:
    return ",\n".join(f".BR {_escape(name)} (1)" for name in names)


def _part(epilog: str, description: str) -> dict[str, list[str]]:
    """Give the paragraphs and blocks of each section, by its title; what has no other goes to the description."""
    sections = defaultdict(list, description=[_escape(description)])
    for chunk in re.split(r"\n\s*\n", epilog.strip("\n")):
        above, _, below = re.sub(r"(^|\n)(?=  )", "\0", chunk, count=1).partition("\0")
        title = "description"
        if below and (heading := re.fullmatch(r"(?P<name>[a-z ]+?)(, (?P<remark>.*))?:", above)):
            title = _TITLES.get(heading["name"], heading["name"])
            above = f"{heading['remark'][0].upper()}{heading['remark'][1:]}:" if heading["remark"] else ""
        block = _block(dedent(below), literal=title == "examples") if below else ""
        sections[title].append("\n".join(filter(None, (_escape(above), block))))
    return sections


def _block(text: str, *, literal: bool) -> str:
    items = [re.split(r" {2,}", item, maxsplit=1) for item in re.split(r"\n(?=\S)", text)]
    if literal or any(len(item) == 1 for item in items):
        return f".RS 4\n.nf\n{_escape(text)}\n.fi\n.RE"
    return "\n".join(
        f".TP\n\\fB{_escape(term)}\\fR\n{_escape(' '.join(meaning.split()))}" for term, meaning in items
    )


def _escape(text: str) -> str:
    """Write a text as roff, of which no line is a request."""
    return re.sub(r"^(?=\.)", r"\\&", text.translate(_TYPED), flags=re.MULTILINE)
