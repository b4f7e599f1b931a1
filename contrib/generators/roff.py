"""Text for man pages: what roff would take for its own is escaped, and an epilog is parted into sections.

An epilog has paragraphs and indented blocks. A block below a line in small letters that ends in a colon, like
`examples:` or `example, over SSH:`, is a section of the page; another belongs to the text above it. Its lines are
commands, kept as they are; or terms, each with a text below it or two blanks to the right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from textwrap import dedent, wrap

EXAMPLES = "EXAMPLES"

_TITLES = {"example": EXAMPLES, "exit codes": "EXIT STATUS"}
"""What some headings are called in man pages; the others only become capitals."""

_SPECIAL = {"\\": r"\e", "~": r"\(ti", "^": r"\(ha", "`": r"\(ga"}
_CODE = {**_SPECIAL, "-": r"\-", "'": r"\(aq", '"': r"\(dq"}
"""Where a person may copy it, a hyphen is a minus and a quote is straight."""

_LITERAL = re.compile(r"`(?P<code>[^`]+)`|(?<![\w-])(?P<bare>--?[a-z][\w-]*|\$[A-Z_]+)")


@dataclass
class Epilog:
    """The paragraphs of an epilog, and its sections by their title; either as lines of roff."""

    paragraphs: list[list[str]] = field(default_factory=list)
    sections: dict[str, list[str]] = field(default_factory=dict)


def parse_epilog(text: str) -> Epilog:
    """Part an epilog. Sections of the same title are one."""
    epilog, title = Epilog(), ""
    for chunk in re.split(r"\n\s*\n", text.strip("\n")):
        above, _, below = re.sub(r"(?:^|\n)(?=  )", "\0", chunk, count=1).partition("\0")
        block = dedent(below).strip("\n").split("\n") if below.strip() else []
        heading = re.fullmatch(r"(?P<name>[a-z][a-z ]*)(?:, (?P<remark>.*))?:", above)
        if block and heading:
            name = heading["name"]
            title = _TITLES.get(name, _TITLES.get(name.removesuffix("s"), name.upper()))
            remark = fill(f"{upper_first(heading['remark'])}:") if heading["remark"] else []
        elif above or not title:
            if chunk.strip():
                epilog.paragraphs.append([*fill(above), *_block(block, definitions=True)])
            continue
        else:
            remark = []
        lines = epilog.sections.setdefault(title, [])
        lines += [*([".PP"] if lines else []), *remark, *_block(block, definitions=title != EXAMPLES)]
    return epilog


def _block(lines: list[str], *, definitions: bool) -> list[str]:
    if not lines:
        return []
    items = re.split(r"\n(?=\S)", "\n".join(lines))
    parted = [re.split(r" {2,}|\n\s*", item, maxsplit=1) for item in items]
    if definitions and all(len(parts) == 2 for parts in parted):
        return [line for term, text in parted for line in define(bold(term), sentence(text))]
    return [".RS 4", ".EX", *(code(line) for line in lines), ".EE", ".nh", ".RE"]  # .EE hyphenates again


def define(term: str, text: str) -> list[str]:
    """Write a term, which is roff already, and what it means."""
    return [".TP", term, *fill(text)]


def upper_first(text: str) -> str:
    """Begin a sentence, and leave the rest of it as it is."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """Make a help text a sentence, unless it begins with something that is typed."""
    text = upper_first(text) if re.match(r"[a-z]+([ ,]|$)", text) else text
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def fill(text: str) -> list[str]:
    """Write a paragraph. Each sentence begins a line, so that roff puts the same space before all of them."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z`$-])", text)
    return [
        _protect(line)
        for sentence in sentences
        for line in wrap(prose(" ".join(sentence.split())), 78, break_long_words=False, break_on_hyphens=False)
    ]


def prose(text: str) -> str:
    """Escape running text. Options, variables, and what stands in backquotes, are bold."""
    parts, end = [], 0
    for found in _LITERAL.finditer(text):
        parts += [_escape(text[end : found.start()], _SPECIAL), bold(found["code"] or found["bare"])]
        end = found.end()
    return "".join([*parts, _escape(text[end:], _SPECIAL)])


def code(line: str) -> str:
    """Escape a line that is shown as it is."""
    return _protect(_escape(line, _CODE))


def bold(text: str) -> str:
    """Write what is typed as it stands here."""
    return rf"\fB{_escape(text, _CODE)}\fR"


def italic(text: str) -> str:
    """Write what stands for something else."""
    return rf"\fI{_escape(text, _CODE)}\fR"


def _escape(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)


def _protect(line: str) -> str:
    """Keep a line from being a request, which begins with a dot or a quote."""
    return rf"\&{line}" if line.startswith((".", "'")) else line
