"""No text of a foreign exception is quoted: it may hold a header with a token. Read from the source.

An exception is ours if its class is defined in this package; only then may text be made of it. Others are told by
their class, or by what the system calls their number: see `describe_foreign` and its like in `errors.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = Path(__file__).parents[1] / "daemon" / "accountd"

READERS = {"errors.py", "protocol/explain.py", "web/failures.py", "config/toml.py"}
"""Who may read the words of others: by fixed patterns, or as tomli's, which have a letter or a key of a file."""

HARMLESS = {
    *("errno", "strerror"),  # the system's number and words
    *("start", "status", "code", "returncode", "error_status_hint"),
    *("reason", "verify_message", "verify_code"),  # of OpenSSL: words from its own tables
    *("exceptions", "args", "__cause__", "__context__", "__traceback__"),  # looked at, and held to this test again
}
"""Attributes that hold nothing of what was sent. `args` only where it is compared."""


def find_quotes(sources: Mapping[str, str]) -> list[str]:
    """Find what makes text of exceptions that are not of this package. Each fault is `path:line: what is wrong`."""
    trees = {path: ast.parse(source) for path, source in sources.items()}
    ours = {node.name for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    return [
        f"{path}:{line}: the words of a foreign {kind} are quoted"
        for path, tree in sorted(trees.items())
        if path not in READERS
        for line, kind in sorted(set(_quotes(tree, ours)))
    ]


def _quotes(tree: ast.Module, ours: set[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=ast.expr() as kinds, name=str(name), body=body):
                scope, kind = body, _find_foreign(kinds, ours)
            case ast.FunctionDef(args=arguments, body=body) | ast.AsyncFunctionDef(args=arguments, body=body):
                for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                    kind = _find_foreign(argument.annotation, ours) if argument.annotation else None
                    if kind is not None and kind.endswith(("Error", "Exception")):
                        yield from ((line, kind) for part in body for line in _find_uses(part, argument.arg))
                continue
            case ast.match_case(pattern=ast.MatchAs(pattern=ast.MatchClass(cls=cls), name=str(name)), body=body):
                scope, kind = body, _find_foreign(cls, ours)
                if kind is None or not kind.endswith(("Error", "Exception")):
                    continue
            case _:
                continue
        if kind is not None:
            yield from ((line, kind) for part in scope for line in _find_uses(part, name))


def _find_foreign(kinds: ast.expr, ours: set[str]) -> str | None:
    """Name one of these classes that is not ours; None if all are."""
    for node in ast.walk(kinds):
        match node:
            case ast.Attribute(attr=name):  # of a library: none of ours is named so
                return name
            case ast.Name(id=name) if name not in ours and name[0].isupper():
                return name
    return None


def _find_uses(node: ast.AST, name: str, *, is_text: bool = False) -> Iterator[int]:
    """Find where text is made of a variable. `is_text`: all that is here becomes text."""
    match node:
        case ast.Name(id=found, lineno=line) if found == name and is_text:
            yield line
        case ast.Attribute(value=ast.Name(id=found), attr=attribute, lineno=line) if found == name:
            if attribute not in HARMLESS:
                yield line
        case ast.Compare():
            pass
        case ast.FormattedValue(value=value):
            yield from _find_uses(value, name, is_text=True)
        case ast.BinOp(op=ast.Mod(), right=right):
            yield from _find_uses(right, name, is_text=True)
        case ast.Call(func=function, args=args, keywords=keywords):
            makes_text = _makes_text(function)
            yield from _find_uses(function, name)
            for argument in args:
                yield from _find_uses(argument, name, is_text=makes_text)
            for keyword in keywords:
                yield from _find_uses(keyword.value, name, is_text=makes_text and keyword.arg != "exc_info")
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _find_uses(child, name, is_text=is_text and not isinstance(node, ast.Attribute))


def _makes_text(function: ast.expr) -> bool:
    """Say whether what a call is given becomes text: in a log, in another exception, by `str` and its like."""
    match function:
        case ast.Attribute(value=ast.Name(id="_log" | "log" | "logging")):
            return True
        case ast.Name(id="str" | "repr" | "format" | "ascii" | "print"):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name[0].isupper() and name != "BaseExceptionGroup"
    return False


def test_no_words_of_a_foreign_exception_are_quoted() -> None:
    """Neither in an error, nor in a log, nor on a terminal."""
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in PACKAGE.rglob("*.py")}
    faults = find_quotes(sources)
    assert not faults, "\n" + "\n".join(f"daemon/accountd/{fault}" for fault in faults)


OURS = "class OurError(Exception): ...\n"


@pytest.mark.parametrize(
    "use",
    [
        'f"it failed: {e}"',
        'f"it failed: {e!r:>20}"',
        'f"it failed: {e.strerror or e}"',
        "str(e)",
        '"it failed: %s" % e',
        '"it failed: %s, %s" % (1, e)',
        '_log.warning("it failed: %s", e)',
        "raise OurError(e)",
        "raise OurError(str(e)) from e",
        'f"{e.doc}"',
        "tell(e.object)",
        '_log.error("it failed: %s", str(e), exc_info=e)',
    ],
)
@pytest.mark.parametrize(
    "scope",
    [
        "try: ...\nexcept ValueError as e: {use}",
        "try: ...\nexcept (OurError, h11.RemoteProtocolError) as e:\n    if x: {use}",
        "def tell(e: httpx.HTTPError | None): {use}",
        "match x:\n    case OSError() as e: {use}",
    ],
)
def test_a_quote_is_found(scope: str, use: str) -> None:
    """However text is made of it, wherever it came from, in a made-up package."""
    [fault] = find_quotes({"a.py": OURS + scope.format(use=use)})
    assert "the words of a foreign" in fault


@pytest.mark.parametrize(
    "source",
    [
        'try: ...\nexcept OurError as e: raise ValueError(f"it failed: {e}") from e',
        'try: ...\nexcept OSError as e: _log.warning("%s", describe_os_error(e), exc_info=e)',
        'try: ...\nexcept OSError as e: raise OurError(f"{describe(e)}, {e.strerror}") from e',
        'try: ...\nexcept RuntimeError as e:\n    if str(e) == "can\'t start new thread": ...',
        'def tell(e: OurError, x: Text): f"{e} {x}"',
        'match x:\n    case Text() as e: f"{e}"',
    ],
)
def test_what_is_no_quote_is_let_through(source: str) -> None:
    """Errors of ours have words for a person, and an error may be handed on."""
    assert find_quotes({"a.py": OURS + source}) == []
