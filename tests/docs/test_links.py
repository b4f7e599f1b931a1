"""A link between the documents leads to a page that exists, and to a heading on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("tests/*/README.md")])


def find_dead_links(page: Path) -> list[str]:
    """Name the links of a page to files and headings of this project that are not there."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)", text)
    return [f"{target}#{heading}" for target, heading in links if not _leads(page, target, heading)]


def _leads(page: Path, target: str, heading: str) -> bool:
    file = page.parent / target if target else page
    return file.exists() and (not heading or heading in _headings(file.read_text(encoding="utf-8")))


def _headings(text: str) -> set[str]:
    """Give the names that GitHub gives the headings of a page."""
    heads = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", text))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """No page and no heading was renamed without those that point to it."""
    assert not find_dead_links(page)


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    """To a page, to a heading of another page, and to one of its own."""
    page = tmp_path / "a.md"
    page.write_text("# A `b` c?\n[1](#a-b-c) [2](#a) [3](b.md) [4](a.md#d) [5](https://example.com/#x)\n")
    assert find_dead_links(page) == ["#a", "b.md#", "a.md#d"]


def test_every_page_is_listed_in_the_readme() -> None:
    """Whoever looks for a page of docs/ finds it there, in one line."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8").partition("\n## More\n")[2]
    assert sorted(re.findall(r"(?m)^\| \[docs/(\S+)\]\(docs/\1\) \|", readme)) == sorted(
        page.name for page in PROJECT.glob("docs/*.md")
    )
