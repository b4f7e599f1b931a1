"""What a tired engineer might do to a function, as small changes of its syntax tree.

Nothing here quotes the package: a change is an operator and the node that it is applied to, so it survives renames
and rewording, and each new line of a module that is named has its own.

Of relatives the one that is hardest to notice stands for all: a condition that always or never holds, and not one
that is negated; an operand that is left out, and not `and` for `or`; no timeout, and not a long one. What is for
people's eyes alone is left alone: texts, and lines of the log.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef

_COMMUTE = (ast.Add, ast.Mult, ast.BitOr, ast.BitAnd)
_PLAIN = (ast.Constant, ast.JoinedStr)
_TESTS = {"test", "ifs", "guard"}
_LISTS = {"comparators", "iter", "type"}
"""Fields in which the entries of a tuple or list count one by one."""

_AT_IMPORT = {"args", "decorator_list", "returns", "annotation"}
"""What a function has that is evaluated when it is defined, and not when it is called."""

_Entry = TypeVar("_Entry")
_Node = TypeVar("_Node", bound=ast.AST)
_Made = tuple[str, ast.AST, ast.AST]
"""The operator, what it is applied to, and what comes in the place of the whole node."""


class Change(NamedTuple):
    """What an operator makes of a node, whose statement begins on a line: in `parent`, `field` becomes `new`."""

    operator: str
    line: int
    node: ast.AST
    parent: ast.AST
    field: str
    new: object


def find_changes(function: Function) -> Iterator[Change]:
    """Find all that the operators can make of a function."""
    for parent, field, index, node, line in _walk(function, function.lineno):
        made = list(_change_list(node, field))
        if isinstance(node, ast.stmt):
            made += _drop(node, parent, function)
            made += _change_statement(node, function)
        elif isinstance(node, ast.expr):
            made += _change_condition(node, field, parent)
            made += _change_expression(node, field, parent)
        whole = getattr(parent, field)
        for operator, at, new in made:
            yield Change(operator, line, at, parent, field, new if index is None else put(whole, index, 1, [new]))
        if index is not None and _is_awaited(node):
            for after in whole[index + 1 : index + 2]:
                if isinstance(after, ast.Expr):
                    yield Change("later", line, node, parent, field, put(whole, index, 2, [after, node]))


def put(entries: list[_Entry], index: int, number: int, new: list[_Entry]) -> list[_Entry]:
    """Return the entries with others in the place of so many."""
    return [*entries[:index], *new, *entries[index + number :]]


def _walk(parent: ast.AST, line: int) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, int]]:
    """Go through what is below a node, but for what is for people: parent, field, place in a list, node, line."""
    for field, value in ast.iter_fields(parent):
        if field in _AT_IMPORT and isinstance(parent, Function | ast.AnnAssign | ast.Lambda):
            continue
        for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(node, ast.AST) and not _is_for_people(node):
                begins = node.lineno if isinstance(node, ast.stmt) else line
                yield parent, field, index, node, begins
                yield from _walk(node, begins)


def _change_list(node: ast.AST, field: str) -> Iterator[_Made]:
    match node:
        case ast.ExceptHandler(body=body) if not (isinstance(body[0], ast.Raise) and body[0].exc is None):
            yield "uncaught", node.type or node, _with(node, body=[ast.Raise()])
        case ast.match_case():
            yield "no case", node.pattern, _with(node, guard=ast.Constant(False))
        case ast.MatchOr(patterns=patterns):
            for pattern, others in _each_without(patterns):
                yield "without", pattern, _with(node, patterns=others)
        case ast.Set(elts=entries) | ast.Tuple(elts=entries) | ast.List(elts=entries) if len(entries) > 1:
            if field in _LISTS or isinstance(node, ast.Set):
                for each, rest in _each_without(entries):
                    yield "without", each, rest[0] if field == "type" and len(rest) == 1 else _with(node, elts=rest)


def _drop(node: ast.stmt, parent: ast.AST, function: Function) -> Iterator[_Made]:
    match parent, node:
        case ast.If(body=[only], orelse=[]), _ if only is node:  # a condition that never holds does the same
            return
        case _, ast.Expr(value=ast.Await() | ast.Call() | ast.YieldFrom() as value) if not _is_for_people(value):
            yield "drop", node, ast.Pass()
        case _, ast.AugAssign() | ast.Delete() | ast.Raise() | ast.Continue() | ast.Break():
            yield "drop", node, ast.Pass()
        case _, ast.Return(value=None):
            yield "drop", node, ast.Pass()
        case _, ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            for index, target in enumerate(targets):
                if _has_another_value(target, function):
                    left = ast.Tuple(put(targets, index, 1, []), ast.Store())
                    right = ast.Tuple(put(values, index, 1, []), ast.Load())
                    yield "drop", target, _with(node, targets=[left], value=right)
        case _, ast.Assign(targets=[target]) if _has_another_value(target, function):
            yield "drop", node, ast.Pass()
        case _, ast.Assign(targets=targets) if len(targets) > 1:
            for target, rest in _each_without(targets):
                if _has_another_value(target, function):
                    yield "drop", target, _with(node, targets=rest)


def _change_statement(node: ast.stmt, function: Function) -> Iterator[_Made]:
    match node:
        case ast.With(items=items) | ast.AsyncWith(items=items):
            for each, rest in _each_without(items):
                if each.optional_vars is None:
                    block = ast.If(ast.Constant(True), node.body, [])
                    yield "without", each.context_expr, _with(node, items=rest) if rest else block
        case ast.For(body=body):
            yield "once", node.iter, _with(node, body=[*body, ast.Break()])
        case ast.Return(value=ast.Name() | ast.Call() | ast.Await()) if _is_bool(function.returns):
            yield "always", node, ast.Return(ast.Constant(True))
            yield "never", node, ast.Return(ast.Constant(False))


def _change_condition(node: ast.expr, field: str, parent: ast.AST) -> Iterator[_Made]:
    match node:
        case ast.Constant():
            return
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            is_condition = not isinstance(parent, ast.BoolOp | ast.UnaryOp)
        case _:
            is_condition = field in _TESTS
    if is_condition:
        yield "always", node, ast.Constant(True)
        if field not in {"ifs", "guard"}:
            yield "never", node, ast.Constant(False)


def _change_expression(node: ast.expr, field: str, parent: ast.AST) -> Iterator[_Made]:
    match node:
        case ast.BoolOp(values=values):
            for each, rest in _each_without(values):
                yield "without", each, rest[0] if len(rest) == 1 else _with(node, values=rest)
        case ast.Compare(left=left, ops=[first, second], comparators=[middle, right]):
            yield "without", left, ast.Compare(middle, [second], [right])
            yield "without", right, ast.Compare(left, [first], [middle])
        case ast.BinOp(left=left, op=op, right=right):
            if not isinstance(left, _PLAIN) and not isinstance(right, _PLAIN):
                yield "without", right, left
                if isinstance(op, _COMMUTE):
                    yield "without", left, right
        case ast.Call(func=ast.Name(id="min" | "max"), args=[left, right]):
            yield "without", left, right
            yield "without", right, left
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), keywords=keywords) if name.islower():
            for keyword, others in _each_without(keywords):
                if keyword.arg is not None and not isinstance(keyword.value, _PLAIN):
                    yield "without", keyword, _with(node, keywords=others)
        case ast.Constant(value=bool(value)) if field not in _TESTS:
            yield "other", parent, ast.Constant(not value)


def _has_another_value(target: ast.expr, function: Function) -> bool:
    """Return True for what has a value even if nothing is assigned to it here."""
    if not isinstance(target, ast.Name):
        return isinstance(target, ast.Attribute | ast.Subscript)
    nodes = list(ast.walk(function))
    names = [each.arg for each in nodes if isinstance(each, ast.arg)]
    names += [each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
    return names.count(target.id) > 1


def _is_for_people(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr() | ast.Constant(value=str()):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"))) | ast.Expr(value=ast.Constant()):
            return True
    return False


def _is_bool(annotation: ast.expr | None) -> bool:
    return isinstance(annotation, ast.Name) and annotation.id == "bool"


def _is_awaited(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Await)


def _each_without(entries: list[_Entry]) -> Iterator[tuple[_Entry, list[_Entry]]]:
    for index, each in enumerate(entries):
        yield each, put(entries, index, 1, [])


def _with(node: _Node, **fields: object) -> _Node:
    return ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), **fields}), node)
