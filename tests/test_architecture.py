"""The staircase: who may import whom, and from outside what. Read from the source, nothing is imported."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = Path(__file__).parents[1] / "daemon" / "accountd"

THIRD_PARTIES = {
    "ground": {"msgspec", "platformdirs", "tomli"},
    "paper": {"msgspec", "wsproto"},
    "outside": {"msgspec", "trio", "httpx", "httpcore", "truststore", "keyring", "secretstorage"},
    "services": {"msgspec", "trio", "h11"},
    "doors": {"msgspec", "trio"},
    "roof": {"msgspec", "trio"},
    "street": {"msgspec", "trio", "h11", "segno"},
}
"""What a floor may import besides the standard library."""

ONLY_IN = {
    "tomli": "config/toml.py",
    "platformdirs": "paths.py",
    "wsproto": "framing/frames.py",
    "httpx": "web/http.py",
    "httpcore": "web/network.py",
    "truststore": "web/ca_bundle.py",
    "keyring": "storage/keyring.py",
    "secretstorage": "storage/secret_service.py",
}
"""Foreign things with one file each; so has what reads foreign text, and only that file holds it to bounds."""

ON_FIRST_USE = {"platformdirs", "httpx", "truststore", "keyring", "secretstorage", "segno"}
"""What takes long to import, so that it is imported in the function that needs it."""

HEAVY_VERBS = {
    "cli/serve.py",
    "cli/sandbox/command.py",
    "cli/sandbox/course.py",
    "cli/sandbox/events.py",
    "cli/sandbox/world.py",
    "cli/doctor/__init__.py",
    "cli/doctor/report.py",
    "cli/app_server.py",
}
"""Verbs that are more than a client; the others, and the blocking client, start in the standard library's time."""

READS = (
    "files/read.py",
    "files/users.py",
    "page_templates.py",
    "cli/service/unit_files.py",
    "cli/completion/__init__.py",
)
"""Who reads files: the one reader, and those of what is the kernel's own, or comes with this package."""

READING = {"read_text", "read_bytes", "load_default_certs"}
"""What reads whatever is at a path, without a bound and without a look at what it is; so does a built-in `open`."""

JSON = "foreign_json.py"
"""What knows how foreign JSON is decoded, and what msgspec raises for what is none."""

FILE_NAME = re.compile(r"(?!\.)[~\w./-]*\w\.(json|jsonl|toml|lock|log|sock|conf|plist)")
"""What looks like the name of a file that somebody makes or reads, and not like an ending of one."""

FILE_NAMES = ("paths.py", "protocol/schema/__init__.py", "doctor/checks.py")
"""Who has such names: the first has them all. The second's are for `accountd schema`, the third's of checks."""

OS_ERRORS = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, OSError)}

OS_ERRORS_END = ("ground", "outside", "client", "front", "street")
"""The floors, and the rooms, that touch the system, so that an OSError ends there; none above has one to catch."""

TOUCH_THE_SYSTEM = {
    "account/store_watch.py": "whether there is a file to watch",
    "login/loopback.py": "the port of a browser login",
    "oauth/refresh.py": "a year that the system's calendar does not have",
    "server/token_socket.py": "a copy of the service manager's socket",
}
"""The files of other floors that catch one all the same, and of what."""

PRINTS = ("cli/", "sandbox/")
"""Who has a terminal to print to."""


class Import(NamedTuple):
    """One imported thing: `accountd.hub` and `open_hub`, or `trio` and None."""

    line: int
    module: str
    name: str | None
    runs_at_import: bool
    """Neither in a function nor for the type checker alone."""


def read_floors(package_docstring: str) -> dict[str, int]:
    """Read the map in the package's docstring: each room with the number of its floor, ground is 0."""
    whole = re.sub(r" ·\n +", " · ", package_docstring)  # a floor with many names goes on in a second line
    lines = re.findall(r"^(\w+) +([\w.]+(?: · [\w.]+)*)(?:  |$)", whole, re.MULTILINE)
    assert [floor for floor, _ in reversed(lines)] == list(THIRD_PARTIES), "the map has other floors than this test"
    return {name: height for height, (_, names) in enumerate(reversed(lines)) for name in names.split(" · ")}


def find_faults(sources: Mapping[str, str]) -> list[str]:
    """Check a package, given as its files' paths and texts. Each fault is `path:line: what is wrong`."""
    trees = {path: ast.parse(source) for path, source in sources.items()}
    floors = read_floors(ast.get_docstring(trees["__init__.py"]) or "")
    imports = {path: list(_imports(tree)) for path, tree in trees.items()}
    faults = [
        fault
        for path, tree in sorted(trees.items())
        for fault in (
            *_file_faults(path, tree, floors),
            *(f"{path}:{i.line}: {text}" for i in imports[path] for text in _import_faults(path, i, floors)),
        )
    ]
    return [*faults, *_cycles(imports, floors), *_slow_starts(imports)]


def _imports(tree: ast.AST, runs_at_import: bool = True) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import():
                yield from (Import(node.lineno, alias.name, None, runs_at_import) for alias in node.names)
            case ast.ImportFrom():
                module = "." * node.level + (node.module or "")
                yield from (Import(node.lineno, module, alias.name, runs_at_import) for alias in node.names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from _imports(node, runs_at_import=False)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _imports(node, runs_at_import=False)
            case _:
                yield from _imports(node, runs_at_import)


def find_room(path: str, floors: Mapping[str, int]) -> str:
    """Name the room of a file: the longest name on the map that its path begins with, or else its first part."""
    return _longest(path.removesuffix(".py").split("/"), floors)


def _longest(parts: list[str], floors: Mapping[str, int]) -> str:
    names = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((name for name in names if name in floors), parts[0])


def _target(found: Import, floors: Mapping[str, int]) -> str | None:
    """Name the room of this package that is imported; None for others, and for the package itself."""
    parts = [*found.module.split("."), *([found.name] if found.name else [])]
    if parts[0] != "accountd" or len(parts) == 1 or parts[1].startswith("__"):
        return None
    return _longest(parts[1:], floors)


def _file_faults(path: str, tree: ast.Module, floors: Mapping[str, int]) -> Iterator[str]:
    room = find_room(path, floors)
    if room not in {*floors, "__init__", "__main__"}:
        yield f"{path}:1: {room} is on no floor of the map in accountd/__init__.py"
    if not ast.get_docstring(tree):
        yield f"{path}:1: no docstring says what this module is for"
    for node in ast.walk(tree):
        if _has_no_os_errors(path, room, floors):
            yield from (f"{path}:{line}: {name} ends on a floor below" for line, name in _caught_os_errors(node))
        match node:
            case ast.Constant(value=str(text)) if path not in FILE_NAMES and FILE_NAME.fullmatch(text):
                yield f"{path}:{node.lineno}: {text} is a file's name; paths.py has those"
            case ast.ExceptHandler(type=ast.expr() as caught) if path != JSON and _is_undecodable(caught):
                yield f"{path}:{node.lineno}: what is no JSON raises UNDECODABLE, see {JSON}"
            case ast.Attribute(ast.Name(id="client"), attr="call" | "send" | "wait_response") if path.startswith(
                "cli/"
            ):
                yield f"{path}:{node.lineno}: a verb asks by a method of client/blocking.py, which has the protocol"
            case ast.Call(func=ast.Name(id="print")) if not path.startswith(PRINTS):
                yield f"{path}:{node.lineno}: only {' and '.join(PRINTS)} print"
            case ast.Call(func=ast.Attribute(ast.Attribute(attr="json"), "decode"), keywords=[]):
                yield f"{path}:{node.lineno}: JSON is decoded by its type alone, see {JSON}"
            case ast.Call() if path not in READS and (name := _name_of_reading(node)):
                yield f"{path}:{node.lineno}: {name} reads what may have no end; files/read.py does not"


def _has_no_os_errors(path: str, room: str, floors: Mapping[str, int]) -> bool:
    floor = list(THIRD_PARTIES)[floors[room]] if room in floors else "top"
    return not ({floor, room} & {*OS_ERRORS_END} or path in TOUCH_THE_SYSTEM)


def _caught_os_errors(node: ast.AST) -> list[tuple[int, str]]:
    """List the errors of the system that an `except`, or a `suppress`, is for, each with its line."""
    match node:
        case ast.ExceptHandler(type=ast.expr() as caught):
            parts = [*ast.walk(caught)]
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=args):
            parts = [part for each in args for part in ast.walk(each)]
        case _:
            parts = []
    return [(part.lineno, part.id) for part in parts if isinstance(part, ast.Name) and part.id in OS_ERRORS]


def _is_undecodable(caught: ast.expr) -> bool:
    """Return True if an `except` lists by itself what msgspec raises."""
    return any(isinstance(part, ast.Attribute) and part.attr == "DecodeError" for part in ast.walk(caught))


def _name_of_reading(call: ast.Call) -> str | None:
    """Name what a call reads a file with, if it is one that trusts in what is there."""
    match call:
        case ast.Call(func=ast.Attribute(attr=name)) if name in READING:
            return name
        case (
            ast.Call(func=ast.Name(id="open"), args=[_])
            | ast.Call(func=ast.Name(id="open"), args=[_, ast.Constant(value="r" | "rb")])
        ):
            return "open"
        case ast.Call(func=ast.Attribute(attr="load_verify_locations"), args=[_, *_]):
            return "load_verify_locations"
    return None


def _import_faults(path: str, found: Import, floors: Mapping[str, int]) -> Iterator[str]:
    here, root = find_room(path, floors), found.module.split(".")[0]
    height = {"__init__": -1, "__main__": len(THIRD_PARTIES)}.get(here, floors.get(here))
    if height is None:
        return  # told once for the whole file
    if root == "":
        yield "a relative import hides on which floor the other module is"
    elif root == "accountd":
        if found.name and found.name.startswith("_") and not found.name.startswith("__"):
            yield f"{found.module}.{found.name} is private"
        target = _target(found, floors)
        if target is not None and floors.get(target, 0) > height:
            yield f"{here} climbs to {target}, {floors[target] - height} floor(s) up"
    elif ONLY_IN.get(root, path) != path:
        yield f"{root} is imported in {ONLY_IN[root]} only"
    elif root not in sys.stdlib_module_names:
        floor = list(THIRD_PARTIES)[height] if 0 <= height < len(THIRD_PARTIES) else "top"
        if root not in THIRD_PARTIES.get(floor, set()):
            yield f"{floor} does not import {root}"
        elif root in ON_FIRST_USE and found.runs_at_import:
            yield f"{root} is imported on first use, in a function"


def _cycles(imports: Mapping[str, list[Import]], floors: Mapping[str, int]) -> Iterator[str]:
    """Neighbours on one floor may use each other in one direction only."""
    edges: dict[str, dict[str, str]] = {}
    for path, found in ((path, found) for path, all_found in imports.items() for found in all_found):
        here, target = find_room(path, floors), _target(found, floors)
        if target is not None and target != here and floors.get(target, -1) == floors.get(here):
            edges.setdefault(here, {}).setdefault(target, f"{path}:{found.line}")
    for start, neighbours in edges.items():
        reached, frontier = set[str](), [start]
        while frontier:
            reached.update(new := set(edges.get(frontier.pop(), {})) - reached)
            frontier.extend(new)
        if start in reached:
            where = ", ".join(neighbours.values())
            yield f"{where}: {start} imports neighbours that import it in turn"


def _slow_starts(imports: Mapping[str, list[Import]]) -> Iterator[str]:
    """Follow what a client's verb imports while it starts, as far as this package goes."""
    for start in imports:
        if start != "client/blocking.py" and (not start.startswith("cli/") or start in HEAVY_VERBS):
            continue
        reached, frontier = {start}, [start]
        while frontier:
            path = frontier.pop()
            for found in (found for found in imports[path] if found.runs_at_import):
                if found.module.split(".")[0] not in {*sys.stdlib_module_names, "accountd"}:
                    by = "" if path == start else f", by way of {path}:{found.line}"
                    yield f"{start}:{found.line if path == start else 1}: imports {found.module} as it starts{by}"
                new = set(_files(found, imports)) - reached
                reached |= new
                frontier.extend(new)


def _files(found: Import, paths: Mapping[str, object]) -> Iterator[str]:
    """List the files that run for an import: the module, and the packages around it."""
    parts = [*found.module.split("."), *([found.name] if found.name else [])]
    if parts[0] == "accountd":
        for end in range(1, len(parts) + 1):
            stem = "/".join(parts[1:end])
            yield from (path for path in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/")) if path in paths)


def test_the_package_keeps_its_staircase() -> None:
    """Imports go down, foreign things are in their places, and every module says what it is for."""
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in PACKAGE.rglob("*.py")}
    faults = find_faults(sources)
    assert not faults, "\n" + "\n".join(f"daemon/accountd/{fault}" for fault in faults)


MAP = (PACKAGE / "__init__.py").read_text()


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("hub.py", "import accountd.server", "2: hub climbs to server, 1 floor(s) up"),
        ("hub.py", "from accountd import daemon", "2: hub climbs to daemon, 2 floor(s) up"),
        ("oauth/a.py", "def f():\n    from accountd.hub import Hub", "3: oauth climbs to hub, 2 floor(s) up"),
        ("errors.py", "if TYPE_CHECKING:\n    import accountd.cli", "3: errors climbs to cli, 6 floor(s) up"),
        ("hub.py", "from .server import x", "2: a relative import hides on which floor the other module is"),
        ("attic.py", "import os", "1: attic is on no floor of the map in accountd/__init__.py"),
        ("oauth/pkce.py", "import trio", "2: paper does not import trio"),
        ("secret.py", "import requests", "2: ground does not import requests"),
        ("__main__.py", "import trio", "2: top does not import trio"),
        ("config/limits.py", "import tomli", "2: tomli is imported in config/toml.py only"),
        ("config/settings.py", "import platformdirs", "2: platformdirs is imported in paths.py only"),
        ("paths.py", "import platformdirs", "2: platformdirs is imported on first use, in a function"),
        ("web/http.py", "import httpx", "2: httpx is imported on first use, in a function"),
        ("web/issuer.py", "import httpx", "2: httpx is imported in web/http.py only"),
        ("framing/detect.py", "import wsproto", "2: wsproto is imported in framing/frames.py only"),
        ("client/blocking.py", "import trio", "2: imports trio as it starts"),
        ("cli/status/__init__.py", "import msgspec.json", "2: imports msgspec.json as it starts"),
        (
            "cli/a.py",
            "from accountd import heavy",
            "1: imports msgspec as it starts, by way of heavy/__init__.py:1",
        ),
        ("hub.py", "from accountd.account import _x", "2: accountd.account._x is private"),
        ("hub.py", "print()", "2: only cli/ and sandbox/ print"),
        (
            "cli/a.py",
            "client.call('account/read')",
            "2: a verb asks by a method of client/blocking.py, which has the protocol",
        ),
        ("hub.py", "msgspec.json.decode(b'')", "2: JSON is decoded by its type alone, see foreign_json.py"),
        (
            "hub.py",
            "try: pass\nexcept FileNotFoundError: pass",
            "3: FileNotFoundError ends on a floor below",
        ),
        ("hub.py", "with suppress(ValueError, OSError): pass", "2: OSError ends on a floor below"),
        ("config/limits.py", "home / 'auth.json'", "2: auth.json is a file's name; paths.py has those"),
        (
            "hub.py",
            "try: pass\nexcept (msgspec.DecodeError, ValueError): pass",
            "3: what is no JSON raises UNDECODABLE, see foreign_json.py",
        ),
        ("config/limits.py", "path.read_text()", "2: read_text reads what may have no end; files/read.py does not"),
        ("config/limits.py", "open(path, 'rb')", "2: open reads what may have no end; files/read.py does not"),
    ],
)
def test_a_planted_fault_is_told_with_its_file_and_line(path: str, source: str, fault: str) -> None:
    """Each rule of this file finds what breaks it, in a made-up package."""
    made_up = {"__init__.py": MAP.replace("errors ·", "errors · heavy ·"), path: f'"""Made up."""\n{source}'}
    assert find_faults({"heavy/__init__.py": '"""Made up."""; import msgspec', **made_up}) == [f"{path}:{fault}"]


def test_the_package_itself_is_under_all_floors() -> None:
    """What every import of the package runs imports nothing of it."""
    [fault] = find_faults({"__init__.py": f"{MAP}import accountd.errors"})
    assert fault.endswith(": __init__ climbs to errors, 1 floor(s) up")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("hub.py", "import trio\nfrom accountd import __version__\nfrom accountd.errors import ConfigError"),
        ("web/http.py", "if TYPE_CHECKING:\n    import httpx\ndef f():\n    import httpx"),
        ("cli/serve.py", "import trio"),
        ("web/http.py", "try: pass\nexcept OSError: pass"),
        ("cli/status/__init__.py", "def f():\n    import trio\n    print()"),
        ("cli/status/__init__.py", "open(path, 'wb')\ncontext.load_verify_locations(cadata=text)"),
        ("__main__.py", "from accountd.cli import main"),
    ],
)
def test_what_is_allowed_is_let_through(path: str, source: str) -> None:
    """The rules do not cry wolf, in a made-up package."""
    assert find_faults({"__init__.py": MAP, path: f'"""Made up."""\n{source}'}) == []


def test_a_module_without_a_docstring_is_told() -> None:
    """A module that does not say what it is for is a fault."""
    assert find_faults({"__init__.py": MAP, "hub.py": "x = 1"}) == [
        "hub.py:1: no docstring says what this module is for"
    ]


def test_neighbours_in_a_circle_are_told() -> None:
    """Two packages of one floor that import each other are a fault, however long the way round."""
    made_up = {
        "hub.py": '"""."""; import accountd.account',
        "account.py": '"""."""; import accountd.login.manager',
        "login/manager.py": '"""."""; import accountd.hub',
    }
    assert find_faults({"__init__.py": MAP, **made_up}) == [
        "hub.py:1: hub imports neighbours that import it in turn",
        "account.py:1: account imports neighbours that import it in turn",
        "login/manager.py:1: login imports neighbours that import it in turn",
    ]
    assert find_faults({"__init__.py": MAP, **made_up, "login/manager.py": '"""."""'}) == []
