"""The definitions as TypeScript: all in one file, or one for each, laid out as `codex app-server generate-ts` does.

Types say what is known. That any object may have members that nobody knows is left out: a client that lets them
through needs no type for them.
"""

from __future__ import annotations

import json
import posixpath
import re
import textwrap
from typing import TYPE_CHECKING, Final

from accountd import __version__
from accountd.codex.version import CODEX_VERSION
from accountd.protocol.methods import SERVER_REQUESTS
from accountd.protocol.schema import define_all, list_paths
from accountd.protocol.schema.definitions import REF, find_references, name_of

if TYPE_CHECKING:
    from accountd.protocol.schema.definitions import Schema

_HEAD: Final = (
    f"// The account protocol of Codex {CODEX_VERSION}, as accountd {__version__} speaks it. Made by accountd."
)
_PLAIN: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_NAME: Final = re.compile(r"[A-Za-z_]\w*")


def render_types() -> str:
    """Render one file with every type. `Methods` and its like lead from a name to the types that go with it."""
    return "\n\n".join([_HEAD, *(_declare(name, schema) for name, schema in sorted(define_all().items()))]) + "\n"


def render_type_files() -> dict[str, str]:
    """Render a file for each type, by its path in the folder, and an index of each part as Codex has it."""
    definitions = define_all()
    paths = {name: posixpath.join(folder, f"{name}.ts") for name, folder in _place(definitions).items()}
    files: dict[str, str] = {}
    for name, path in paths.items():
        needed = sorted(find_references(definitions[name]) - {name})
        imports = [f'import type {{ {each} }} from "{_way(path, paths[each])}";' for each in needed]
        files[path] = "\n".join([_HEAD, *imports, "", _declare(name, definitions[name]), ""])
    folders = {
        folder: [path for path in files if posixpath.dirname(path) == folder] for folder in ("", "accountd", "v2")
    }
    for folder, listed in folders.items():
        names = [posixpath.basename(path).removesuffix(".ts") for path in listed]
        lines = [f'export type {{ {name} }} from "./{name}";' for name in names]
        lines += [f'export * as {part} from "./{part}";' for part in ("accountd", "v2") if not folder]
        files[posixpath.join(folder, "index.ts")] = "\n".join([_HEAD, *lines, ""])
    return dict(sorted(files.items()))


def _place(definitions: dict[str, Schema]) -> dict[str, str]:
    """Say in which folder Codex has each type. A part goes to what it is of, or to v2 if that is in several."""
    asked = {name_of(each) for request in SERVER_REQUESTS for each in (request.params, request.result)}
    placed = {name: posixpath.dirname(path).removeprefix("v1") for name, path in list_paths().items()}
    placed |= dict.fromkeys(asked, "v2")
    references = {name: find_references(schema) for name, schema in definitions.items()}
    while parts := definitions.keys() - placed:
        wholes = {part: {name for name, found in references.items() if part in found} - {part} for part in parts}
        folders = {
            part: {placed[name] for name in names} for part, names in wholes.items() if names <= placed.keys()
        }
        settled = {part: min(found) if len(found) == 1 else "v2" for part, found in folders.items()}
        placed |= settled or dict.fromkeys(parts, "v2")  # the others refer to each other in a circle
    return {name: placed[name] for name in sorted(definitions)}


def _way(path: str, target: str) -> str:
    way = posixpath.relpath(target.removesuffix(".ts"), posixpath.dirname(path) or ".")
    return way if way.startswith(".") else f"./{way}"


def _declare(name: str, schema: Schema) -> str:
    if schema.get("type") == "object" and schema.get("properties"):
        return f"{_comment(schema)}export interface {name} {_write(schema)}"
    return f"{_comment(schema)}export type {name} = {_write(schema)};"


def _write(schema: Schema) -> str:
    """Write a schema as the expression of a type."""
    match schema:
        case {"$ref": str(ref)}:
            return ref.removeprefix(REF)
        case {"allOf": [only]}:
            return _write(only)
        case {"anyOf": list(options)} | {"oneOf": list(options)}:
            return " | ".join(dict.fromkeys(_write(option) for option in options))
        case {"enum": list(values)}:
            return " | ".join(map(json.dumps, values))
        case {"type": list(names)}:
            return " | ".join(_write({**schema, "type": name}) for name in names)
        case {"type": "array", **rest}:
            return f"Array<{_write(rest.get('items') or {})}>"
        case {"type": "object", "properties": dict(members)}:
            lines = "\n".join(_member(name, schema) for name in members)
            return f"{{\n{textwrap.indent(lines, '  ')}\n}}" if members else "Record<string, never>"
        case {"type": "object", **rest}:
            others = rest.get("additionalProperties")
            return f"Record<string, {_write(others) if isinstance(others, dict) else 'unknown'}>"
        case {"type": str(name)}:
            return _PLAIN[name]
    return "unknown"


def _member(name: str, schema: Schema) -> str:
    member = schema["properties"][name]
    mark = "" if name in schema.get("required", ()) else "?"
    return f"{_comment(member)}{name if _NAME.fullmatch(name) else json.dumps(name)}{mark}: {_write(member)};"


def _comment(schema: Schema) -> str:
    text = schema.get("description", "").replace("*/", "* /")
    lines = [f" * {line}".rstrip() for line in text.split("\n")]
    return "\n".join(["/**", *lines, " */", ""]) if text else ""
