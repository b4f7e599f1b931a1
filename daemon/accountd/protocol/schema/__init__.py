"""The protocol as JSON Schema and as TypeScript: made of the tables and their Structs, for clients in any language.

The layout, the names and the dialect (draft-07) are those of `codex app-server generate-json-schema`, so that what
reads that folder reads this one: `v1` has what is called without a slash, `v2` the rest, the root what goes around
them. Beside these, `accountd` has what is ours, and the maps. Each file has all that it refers to, and no more: a
definition that nothing leads to is left out by what makes types.

definitions   the messages and their parts      envelopes   what goes around them, and the maps
typescript    all of it as types
"""

from __future__ import annotations

from typing import Final

import msgspec

from accountd.protocol.reasons import EXTENSION
from accountd.protocol.schema.definitions import Schema, collect, define, find_parts, mark, nullable, ref_to
from accountd.protocol.schema.envelopes import ENVELOPES, MAPS, define_envelopes, define_maps

BUNDLE: Final = "codex_app_server_protocol.v2.schemas.json"
"""All definitions in one file, which has this name in Codex too."""

_DIALECT: Final = "http://json-schema.org/draft-07/schema#"


def define_all() -> dict[str, Schema]:
    """Make every definition there is, by its name: the messages, their parts, the envelopes and the maps."""
    messages = collect()
    definitions = define(messages)
    definitions |= define_envelopes() | define_maps()
    for name, schema in definitions.items():
        schema["title"] = name
    return definitions


def list_paths() -> dict[str, str]:
    """Give the path in the folder of each definition that has a file."""
    paths = {name: message.path for name, message in collect().items()}
    return paths | {name: f"{name}.json" for name in ENVELOPES} | {name: f"accountd/{name}.json" for name in MAPS}


def render_files() -> dict[str, bytes]:
    """Render every file, by its path in the folder. They are the same bytes each time."""
    definitions = define_all()
    files: dict[str, Schema] = {}
    for name, path in list_paths().items():
        is_nullable = "/Nullable" in path
        schema = {"title": f"Nullable{name}"} | nullable(name) if is_nullable else definitions[name]
        if is_nullable and path.startswith("accountd/"):
            mark(schema, EXTENSION)
        files[path] = _file(schema, definitions)
    files[BUNDLE] = {
        "$schema": _DIALECT,
        "title": "AccountdProtocol",
        "description": "All there is. Nobody sends this object.",
        "type": "object",
        "properties": {name: ref_to(name) for name in (*ENVELOPES, "JSONRPCResponse", "JSONRPCError", *MAPS)},
        "definitions": dict(sorted(definitions.items())),
    }
    return {path: msgspec.json.format(msgspec.json.encode(files[path])) + b"\n" for path in sorted(files)}


def _file(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Make a schema stand alone, with the definitions that it needs."""
    parts = {name: definitions[name] for name in sorted(find_parts(schema, definitions))}
    return {"$schema": _DIALECT, "title": schema["title"], **schema, **({"definitions": parts} if parts else {})}
