"""HTML files with places for texts: whatever goes into one is escaped, unless it has come out of one."""

from __future__ import annotations

import html
from functools import cache
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


class PageTemplates:
    """The templates of a folder, each read once: `name.html`, with `$places` as in string.Template."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.read = cache(self._read)

    def fill(self, name: str, /, **values: str) -> Html:
        """Fill every place of a template. Raises OSError the first time that it is used, KeyError for a place."""
        escaped = {key: text if isinstance(text, Html) else html.escape(text) for key, text in values.items()}
        return Html(Template(self.read(name)).substitute(escaped))

    def _read(self, name: str) -> str:
        return (self._folder / f"{name}.html").read_text(encoding="utf-8")
