"""Anything that a JSON Schema allows, for Hypothesis: as much of draft-07 as the schemas of params use."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fakes.instances import JSON

Schema = dict[str, Any]

_KNOWN = {
    *("type", "enum", "anyOf", "oneOf", "items", "properties", "required", "additionalProperties", "$ref"),
    *("minimum", "maximum", "title", "description", "default", "definitions", "$schema", "format", "$comment"),
}


def values_of(schema: Schema) -> st.SearchStrategy[Any]:
    """Give values that are valid under a schema. Objects have members beside those that it names."""
    return _values(schema, schema.get("definitions", {}))


def _values(schema: Schema, definitions: dict[str, Schema]) -> st.SearchStrategy[Any]:
    assert schema.keys() <= _KNOWN, f"the schema says what this does not read: {schema.keys() - _KNOWN}"
    match schema:
        case {"$ref": str(ref)}:
            return _values(definitions[ref.removeprefix("#/definitions/")], definitions)
        case {"enum": list(values)}:
            return st.sampled_from(values)
        case {"anyOf": list(options)} | {"oneOf": list(options)}:
            return st.one_of([_values(option, definitions) for option in options])
        case {"type": list(types)}:
            return st.one_of([_values({**schema, "type": name}, definitions) for name in types])
        case {"type": "object"}:
            return _objects(schema, definitions)
        case {"type": "array"}:
            return st.lists(_values(schema["items"], definitions), max_size=3)
        case {"type": "string"}:
            return st.text(max_size=10)
        case {"type": "integer"}:
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "null"}:
            return st.none()
    raise NotImplementedError(schema)  # params have come to hold what they had not


def _objects(schema: Schema, definitions: dict[str, Schema]) -> st.SearchStrategy[dict[str, Any]]:
    members = {name: _values(each, definitions) for name, each in schema.get("properties", {}).items()}
    required = {name: members.pop(name) for name in schema.get("required", ())}
    known = st.fixed_dictionaries(required, optional=members)
    others = st.dictionaries(
        st.text(max_size=5).filter(lambda name: name not in required | members), JSON, max_size=2
    )
    return st.builds(lambda one, other: {**other, **one}, known, others)
