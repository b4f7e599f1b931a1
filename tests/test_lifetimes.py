"""Who may start a task in the daemon: the supervisor, or somebody whose task lives short and is in a list.

Read from the source. A task that raises ends its nursery, and what lives as long as the daemon ends the daemon.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from test_architecture import PACKAGE, find_room, read_floors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OTHERS = {"client", "front", "sandbox", "cli", "doctor"}
"""Rooms that are no part of the daemon's process."""

SHORT_LIVED = {
    ("server/accounts_handlers.py", "_look_up"): "ends when the backend has told of a workspace, or not",
    ("account/refresh.py", "self._fly"): "one refresh, which fails those who wait for it and raises nothing",
    ("accounts/roster.py", "self._keep"): "one account, which fails whoever opens it; what it does is supervised",
    ("account/refresh.py", "_cancel_when"): "as long as one sleep, in a nursery of the task that sleeps",
    ("system/accepting.py", "_serve"): "one connection, whose failure is told there and raises nothing",
    ("daemon.py", "_serve_stdio"): "the only client of its daemon, whose end is the daemon's",
    ("login/loopback.py", "accept_clients"): "as long as a login, in its nursery",
    ("login/manager.py", "self._run"): "one login, which fails its client and raises nothing once it has begun",
    ("rpc/endpoint.py", "self._write"): "as long as something waits to leave, in the nursery of its connection",
    ("server/connection.py", "self._finish"): "one request, in the nursery of its connection",
    ("server/connection.py", "self._write"): "as long as a connection, in its nursery",
    ("server/token_socket_holder.py", "current.serve"): "as long as one token socket, in that of a supervised task",
    ("server/token_socket.py", "serve_listener"): "as long as one listener, in the nursery of a supervised task",
    ("account/usage.py", "read_reset_credits"): "a part of one request, in its nursery",
}
"""Tasks that die before the daemon does, and why a failure in one ends nothing that others need."""


def find_tasks(sources: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """List what is started without the supervisor, in a package given as its files' paths and texts."""
    for path, source in sources.items():
        tree = ast.parse(source)
        nurseries = set(_nurseries(tree))
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=nursery, attr="start"), args=[work, *_]) if (
                    ast.unparse(nursery).lstrip("_").rpartition(".")[2].lstrip("_") in nurseries
                ):
                    yield path, ast.unparse(work)
                case ast.Call(func=ast.Attribute(attr="start_soon" | "spawn_system_task"), args=[work, *_]):
                    if ast.unparse(work) != "supervise":
                        yield path, ast.unparse(work)


def _nurseries(tree: ast.AST) -> Iterator[str]:
    """Name the nurseries of a file, by how they are opened or annotated; without the underscore of an attribute."""
    for node in ast.walk(tree):
        match node:
            case ast.withitem(context_expr=ast.Call(func=opener), optional_vars=ast.expr() as name) if (
                ast.unparse(opener) == "trio.open_nursery"
            ):
                yield ast.unparse(name).rpartition(".")[2].lstrip("_")
            case ast.arg(arg=name, annotation=ast.expr() as kind) if "Nursery" in ast.unparse(kind):
                yield name


def read_daemon() -> dict[str, str]:
    """Read what runs in the daemon's process."""
    floors = read_floors(ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text())) or "")
    paths = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")]
    ours = floors.keys() - OTHERS
    return {path: (PACKAGE / path).read_text() for path in paths if find_room(path, floors) in ours}


def test_whatever_lives_as_long_as_the_daemon_is_supervised() -> None:
    """And the list of others has nobody in it who is not there."""
    assert set(find_tasks(read_daemon())) == set(SHORT_LIVED)


@pytest.mark.parametrize(
    "source",
    [
        "async with trio.open_nursery() as n: n.start_soon(work)",
        "async with trio.open_nursery() as n: await n.start(work)",
        "async with trio.open_nursery() as self._watching: await self._watching.start(work)",
        "async def f(tasks: trio.Nursery) -> None: await tasks.start(work, 1)",
        "class A:\n def __init__(self, tasks: trio.Nursery | None) -> None: self._tasks = tasks\n"
        " async def f(self): await self._tasks.start(work)",
        "anything.of_mine().start_soon(work, 1)",
        "trio.lowlevel.spawn_system_task(work)",
    ],
)
def test_a_planted_task_is_found(source: str) -> None:
    """However it is started, and whatever its nursery is called."""
    assert list(find_tasks({"a.py": source})) == [("a.py", "work")]


@pytest.mark.parametrize(
    "source",
    ["n.start_soon(supervise, 'the work', work)", "await self.logins.start(flow, reply)", "thread.start()"],
)
def test_what_is_allowed_is_let_through(source: str) -> None:
    """The supervisor's tasks, and what is no task."""
    assert list(find_tasks({"a.py": source})) == []
