"""The wrong edits of a module: each operator at each place of each function, and a few that are quoted.

An edit is named by its function, its operator and the beginning of what that is applied to, as in
`Outbox.put: never "self._sending"`; the second of a name has `#2` behind it. One that is quoted is named by its
mistake. Both are found in the syntax tree, where neither layout nor comments count.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mutants.operators import Change, Function, find_changes, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType


HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "daemon" / "accountd"

_SHOWN = 40
"""Characters of a node in a name."""

_LEFT_OUT = {"__init__", "__repr__", "__str__"}
"""What these do wrong shows in all else, or to people alone."""


class Quote(NamedTuple):
    """An edit that no operator makes: `old` is in the module, or in the function, exactly once.

    Both are expressions or both statements; or, where one is neither, parts of a string.
    """

    mistake: str
    place: str
    old: str
    new: str


class Edit(NamedTuple):
    """A wrong edit of a function, or of what is outside of all, if that is empty."""

    function: str
    name: str
    change: Change

    @property
    def lines(self) -> range:
        """The lines from the beginning of its statement to the end of what is changed."""
        last = getattr(self.change.node, "end_lineno", None) or self.change.line
        return range(self.change.line, last + 1)

    def compile(self, module: Module) -> CodeType:
        """Compile the module with this edit, whose tree is as it was afterwards."""
        parent, field, new = self.change.parent, self.change.field, self.change.new
        old = getattr(parent, field)
        setattr(parent, field, new)
        try:
            return compile(ast.fix_missing_locations(module.tree), module.path, "exec")
        finally:
            setattr(parent, field, old)


class Module:
    """A module of the package, by its path there, such as `rpc/outbox.py`."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.path = PACKAGE / file
        self.name = ".".join(("accountd", *Path(file).with_suffix("").parts))
        self.tree = ast.parse(self.path.read_text())
        self.functions = tuple(_find_functions(self.tree.body))

    def edits(self) -> Iterator[Edit]:
        """Make all that there are, in the order of the source, and then those that are quoted."""
        seen: Counter[str] = Counter()
        for name, function in self.functions:
            if name.rpartition(".")[2] in _LEFT_OUT:
                continue
            for change in find_changes(function):
                edit = f'{name}: {change.operator} "{" ".join(ast.unparse(change.node).split())[:_SHOWN]}"'
                seen[edit] += 1
                yield Edit(name, f"{edit} #{seen[edit]}" if seen[edit] > 1 else edit, change)
        for quote in load_quotes(self.file):
            yield self.find(quote)

    def find(self, quote: Quote) -> Edit:
        """Find what is quoted. Raises ValueError where it is not, or more than once."""
        places = [node for name, node in self.functions if name == quote.place] if quote.place else [self.tree]
        changes = [change for each in places for change in _find(quote, each)]
        if len(changes) != 1:
            raise ValueError(f"{self.file}: {quote.old!r} is there {len(changes)} times")
        return Edit(quote.place, quote.mistake, changes[0])


def load_quotes(file: str) -> Iterator[Quote]:
    """Read those of a module."""
    for each in tomllib.loads((HERE / "quoted.toml").read_text()).get(file, ()):
        yield Quote(*each)


def _find_functions(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, Function]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _find_functions(node.body, f"{within}{node.name}.")
        elif isinstance(node, Function):
            yield f"{within}{node.name}", node


def _find(quote: Quote, within: ast.AST) -> Iterator[Change]:
    try:
        old, new = ast.parse(quote.old).body, ast.parse(quote.new).body
    except SyntaxError:  # a part of a string
        for node in ast.walk(within):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and quote.old in node.value:
                yield Change("", node.lineno, node, node, "value", node.value.replace(quote.old, quote.new))
        return
    wanted: list[ast.AST] = [*old]
    put_there: list[ast.AST] = [*new]
    match old, new:
        case [ast.Expr(value=expression)], [ast.Expr(value=other)]:
            wanted, put_there = [expression], [other]
    dumps = [ast.dump(each) for each in wanted]
    for parent in ast.walk(within):
        for field, value in ast.iter_fields(parent):
            entries = value if isinstance(value, list) else [value]
            found = [ast.dump(each) if isinstance(each, ast.AST) else None for each in entries]
            for index in range(len(entries)):
                if found[index : index + len(dumps)] == dumps:
                    whole = put(entries, index, len(dumps), put_there)
                    new_field = whole if isinstance(value, list) else whole[0]
                    yield Change("", getattr(entries[index], "lineno", 0), entries[index], parent, field, new_field)
