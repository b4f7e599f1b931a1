"""Which members an object has that its schema does not know, and which it lacks: validity asks for neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]


def find_odd_members(schema: Schema, value: object) -> Iterator[str]:
    """List the places, as `where.member`, in which a valid value has a member too many or too few."""
    yield from _walk(schema, schema, value, "")


def _walk(schema: Schema, root: Schema, value: object, where: str) -> Iterator[str]:
    schema = _resolve(schema, root, value)
    match value:
        case dict() if "properties" in schema:
            for name in value.keys() ^ schema["properties"].keys():
                yield f"{where}.{name}"
            for name in value.keys() & schema["properties"].keys():
                yield from _walk(schema["properties"][name], root, value[name], f"{where}.{name}")
        case dict() if isinstance(schema.get("additionalProperties"), dict):
            for each in value.values():
                yield from _walk(schema["additionalProperties"], root, each, f"{where}.*")
        case list() if isinstance(schema.get("items"), dict):
            for each in value:
                yield from _walk(schema["items"], root, each, f"{where}[]")


def _resolve(schema: Schema, root: Schema, value: object) -> Schema:
    """Follow references, and of variants take the one that the value is."""
    while True:
        if "$ref" in schema:
            schema = root["definitions"][schema["$ref"].rpartition("/")[2]]
        elif isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
            schema = schema["allOf"][0]
        elif variants := schema.get("anyOf") or schema.get("oneOf"):
            definitions = {"definitions": root.get("definitions", {})}
            schema = next(each for each in variants if Draft7Validator({**each, **definitions}).is_valid(value))
        else:
            return schema
