"""What a test reads of a page, and text that must stay text on it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accountd.sandbox import Response

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;${title}"


class Page(HTMLParser):
    """The elements of a page, as (tag, attributes), its text, and a complaint if its tags do not nest."""

    _VOID = ("meta", "input")

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(response.body.decode())
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        self.elements.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        if self._open and self._open[-1] != "style":
            self.text += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        """Give the attributes of each such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    def fill_in(self) -> tuple[str, dict[str, str]]:
        """Give where the one form goes, and its fields as they stand."""
        (form,) = self.find("form")
        assert form["method"] == "post"
        return str(form["action"]), {str(field["name"]): str(field["value"]) for field in self.find("input")}
