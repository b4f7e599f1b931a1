"""The wrong edits can be made, and what is listed is there. That tests notice them takes long: `make mutants`."""

from __future__ import annotations

import ast

import pytest

from mutants.edits import HERE, PACKAGE, Module, Quote, load_quotes
from mutants.groups import load_groups, load_survivors
from mutants.operators import Function, find_changes

GROUPS = load_groups()
MODULES = sorted(file for group in GROUPS for file in group.modules)


def test_each_module_and_each_test_that_is_named_is_there() -> None:
    """And each module once."""
    assert len(set(MODULES)) == len(MODULES)
    tests = [name.partition("::")[0] for group in GROUPS for name in group.tests]
    assert [path for path in [PACKAGE / file for file in MODULES] if not path.exists()] == []
    assert [path for path in [HERE.parent / name for name in tests] if not path.exists()] == []


@pytest.mark.parametrize("file", MODULES)
def test_each_edit_that_is_quoted_can_be_made(file: str) -> None:
    """What it quotes is there once, and it compiles."""
    module = Module(file)
    for quote in load_quotes(file):
        module.find(quote).compile(module)


@pytest.mark.parametrize("file", sorted(load_survivors()))
def test_each_survivor_that_is_listed_is_an_edit(file: str) -> None:
    """It is one that is tried, and has a reason."""
    assert file in MODULES
    module = Module(file)
    names = {edit.name for edit in module.edits()} | {f"{function}: *" for function, _ in module.functions}
    survivors = load_survivors()[file]
    assert survivors.keys() - names == set()
    assert all(survivors.values())


@pytest.mark.parametrize("old", ["nothing of the kind", "self"])
def test_a_quote_that_has_lost_its_place_says_so(old: str) -> None:
    """Neither nowhere nor in many places is a place."""
    with pytest.raises(ValueError, match=r"rpc/outbox.py: .* is there \d+ times"):
        Module("rpc/outbox.py").find(Quote("a mistake", "", old, "other"))


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("if a: b = c()", {"if True: b = c()", "if False: b = c()"}),
        ("if a: b()\nelse: c()", {
            "if True: b()\nelse: c()", "if False: b()\nelse: c()", "if a: pass\nelse: c()", "if a: b()\nelse: pass",
        }),
        ("return a and b", {"return True", "return False", "return a", "return b"}),
        ("return [b for b in c if b]", {"return [b for b in c if True]"}),
        ("return 0 <= a <= b", {"return True", "return False", "return a <= b", "return 0 <= a"}),
        ("return min(a, b)", {"return a", "return b"}),
        ("return a - b", {"return a"}),
        ("return a | b", {"return a", "return b"}),
        ("await a(); b()", {"pass; b()", "await a(); pass", "b(); await a()"}),
        ("self.a = self.b = c", {"self.a = c", "self.b = c"}),
        ("self.a, self.b = 0, c", {"self.a, = 0,", "self.b, = c,"}),
        ("a = 1; a = b", {"pass; a = b", "a = 1; pass"}),
        ("with a, b as c: d = e", {"with b as c: d = e"}),
        ("with a(shield=True): c = d", {"with a(shield=False): c = d", "if True: c = d"}),
        ("for b in c: d = b", {"for b in c:\n  d = b\n  break"}),
        ("try: b = a\nexcept (C, D): b = d", {
            "try: b = a\nexcept C: b = d", "try: b = a\nexcept D: b = d", "try: b = a\nexcept (C, D): raise",
            "try: pass\nexcept (C, D): b = d", "try: b = a\nexcept (C, D): pass",
        }),
        ("match a:\n  case b.C | b.D: e = f", {
            "match a:\n  case b.C: e = f", "match a:\n  case b.D: e = f",
            "match a:\n  case b.C | b.D if False: e = f",
        }),
        ("_log.info(a, b and c)", set()),
        ("raise A(f'{b or c}')", {"pass"}),
    ],
)  # fmt: skip
def test_an_operator_makes_of_a_function(body: str, wrong: set[str]) -> None:
    """These changes, and no others."""
    tree = ast.parse("async def function(self): ...")
    function = tree.body[0]
    assert isinstance(function, Function)
    function.body = ast.parse(body).body
    made = []
    for change in find_changes(function):
        old = getattr(change.parent, change.field)
        setattr(change.parent, change.field, change.new)
        made.append("\n".join(map(ast.unparse, function.body)))
        setattr(change.parent, change.field, old)
    assert sorted(made) == sorted(ast.unparse(ast.parse(each)) for each in wrong)
