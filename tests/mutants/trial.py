"""Try edits against tests, most in a fraction of a second: they cost no start of Python.

The tests are collected once. Then each edit of a function has a fork of that process to itself. There the code of
the function is replaced, in every function object that has it, and those tests run that go through the line, the
quickest first, until one fails. An edit outside of functions is made while its module is imported, in a fork from
before.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import resource
import signal
import sys
import time
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from itertools import zip_longest
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, NamedTuple

import coverage
import pytest

from mutants.edits import HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mutants.edits import Edit, Module

PATIENCE = 4
"""Seconds that a test has, beside ten times what it takes without an edit. Whatever hangs has been noticed."""

MEMORY = 4 << 30
"""Bytes that an edit has, which may well make a loop without an end."""

OPTIONS = ("-q", "-p", "no:cacheprovider", "-m", "not whole")


class Trouble(Exception):
    """Why no edit can be tried: a test fails without any."""


def try_edits(edits: Sequence[tuple[Module, Edit]], tests: Sequence[str]) -> list[bool]:
    """Return for each edit whether a test noticed it. Raises Trouble. It takes the process that it is called in."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.chdir(HERE.parents[1])
    outside = [(module, edit) for module, edit in edits if not edit.function]
    early = {(module.file, edit.name): _is_noticed_at_import(module, edit, tests) for module, edit in outside}
    trial = _Trial(edits)
    status = pytest.main([*OPTIONS, "--timeout=0", *tests], plugins=[trial])
    if status or trial.trouble:
        raise Trouble(trial.trouble or f"pytest ends with {status}")
    noticed = trial.noticed | early
    return [noticed[module.file, edit.name] for module, edit in edits]


def _is_noticed_at_import(module: Module, edit: Edit, tests: Sequence[str]) -> bool:
    def passes() -> bool:
        spec = spec_from_file_location(module.name, module.path)
        assert spec is not None
        wrong = sys.modules[module.name] = module_from_spec(spec)
        parent, _, name = module.name.rpartition(".")
        setattr(importlib.import_module(parent), name, wrong)
        exec(edit.compile(module), vars(wrong))
        return pytest.main([*OPTIONS, "-x", *tests]) == 0

    return _in_a_fork(passes) is not True


class _Seen(NamedTuple):
    """By module and line, the tests that go through it; and how long each test takes. All of it without an edit."""

    reaching: dict[str, dict[int, set[int]]]
    seconds: list[float]


class _Trial:
    """A plugin of pytest, which runs the tests in its own way."""

    def __init__(self, edits: Sequence[tuple[Module, Edit]]) -> None:
        self._edits = [(module, edit) for module, edit in edits if edit.function]
        self.noticed: dict[tuple[str, str], bool] = {}
        self.trouble = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        paths = {str(module.path) for module, _ in self._edits}
        seen = _in_a_fork(lambda: _look(session.items, paths))
        if isinstance(seen, _Seen):
            functions = [each for each in gc.get_objects() if isinstance(each, FunctionType)]
            ours = [each for each in functions if each.__code__.co_filename in paths]
            for module, edit in self._edits:
                self.noticed[module.file, edit.name] = _is_noticed(module, edit, session.items, seen, ours)
        else:
            self.trouble = f"without any edit this fails: {seen}"
        return True


def _is_noticed(
    module: Module, edit: Edit, items: Sequence[pytest.Item], seen: _Seen, functions: Iterable[FunctionType]
) -> bool:
    path = str(module.path)
    lines = seen.reaching.get(path, {})
    through = {index for line in edit.lines for index in lines.get(line, ())}
    reaching = [(items[index], seen.seconds[index]) for index in sorted(through, key=seen.seconds.__getitem__)]
    codes = {(code.co_qualname, code.co_firstlineno): code for code in _find_codes(edit.compile(module))}
    ours = [each for each in functions if each.__code__.co_filename == path]
    here = [each for each in ours if each.__code__.co_qualname == edit.function]

    def passes() -> bool:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            for each in here:
                each.__code__ = codes[edit.function, each.__code__.co_firstlineno]
        except ValueError:  # it has another closure, as where a `super` is left out, so that nobody can tell
            return True
        following = [item for item, _ in reaching[1:]]
        return all(
            _run(item, after, PATIENCE + 10 * seconds)
            for (item, seconds), after in zip_longest(reaching, following)
        )

    return _in_a_fork(passes) is not True


def _look(items: Sequence[pytest.Item], paths: set[str]) -> _Seen | str:
    """Run all tests, and see through which lines each goes; or return the one that fails."""
    watch = coverage.Coverage(data_file=None, config_file=False, include=sorted(paths))
    seconds: list[float] = []
    watch.start()
    for index, (item, after) in enumerate(zip_longest(items, items[1:])):
        watch.switch_context(str(index))
        begun = time.perf_counter()
        if not _run(item, after, patience=60):
            return item.nodeid
        seconds.append(time.perf_counter() - begun)
    watch.stop()
    found = {path: watch.get_data().contexts_by_lineno(path) for path in paths}
    return _Seen(
        {
            path: {line: {int(each) for each in tests if each} for line, tests in lines.items()}
            for path, lines in found.items()
        },
        seconds,
    )


def _run(item: pytest.Item, after: pytest.Item | None, patience: float) -> bool:
    """Run a test before another, and return True if it passes. After so many seconds, the process is killed."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, patience)
    item.session.testsfailed = 0
    item.ihook.pytest_runtest_protocol(item=item, nextitem=after)
    return not item.session.testsfailed


def _in_a_fork(work: Callable[[], object]) -> object:
    """Return what work returns in a process of its own; None if that ends without."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        try:
            with os.fdopen(writing, "wb") as file:
                pickle.dump(work(), file)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        told = file.read()
    os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it has left
    return pickle.loads(told) if told else None


def _find_codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _find_codes(constant)
