"""Say what is wrong with a request's params in the words of Codex, whose clients may know them.

Codex is written in Rust and passes on what its JSON library, serde, complains about. msgspec complains in
other words; this module translates. It runs only for requests that have failed already, so it must not cost more
than they would have: nothing is decoded but what is on the way to the value that is wrong.

Of other documents it tells what is wrong where, and nothing that is in them: msgspec quotes values.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

# Each pattern is matched at the start: a value that a message quotes must not be taken for the message.
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_WRONG_TYPE = re.compile(r"Expected `(?P<wanted>[^`]+)`(?:, got `[^`]+`)?(?: - at `\$(?P<path>[^`]*)`)?")
_WRONG_VALUE = re.compile(r"Invalid (?:enum )?value .*- at `\$(?P<path>[^`]*)`", re.DOTALL)
_OUT_OF_RANGE = re.compile(r"Expected `(?P<wanted>[^`]+)` (?P<bound>[<>]=? \S+)(?: - at `\$(?P<path>[^`]*)`)?")
_PLACE = re.compile(r" - at (?:key in )?`\$[\w.\[\]]*`$")
_HARMLESS = re.compile(
    r"JSON is malformed: [a-z ':,{}\[\]-]{1,60}? \(byte \d+\)|Input data was truncated|Number out of range"
    r"|Object (?:missing required|contains unknown) field `[\w-]{1,64}`"
    r"|Expected `[\w |]+`(?: [<>]=? [\d.]+|(?: of length| matching)[^`]*)?(?:, got `[\w |]+`)?"
)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")

MAX_EXPLAINED: Final = 64 << 10
"""Bytes of params about which Codex's words are found, with the value that is wrong; no honest ones have more."""

_Scalar = bool | int | float | str | None
_PLAIN = {
    "bool": "true or false",
    "str": "a text",
    "int": "a whole number",
    "array": "a list",
    "object": "a table",
}
_WANTED = {"bool": "a boolean", "str": "a string", "int": "an integer", "array": "a sequence"}


def explain_decode_error(error: Exception) -> str:
    """Return why a document could not be decoded, by msgspec or before it, without quoting any of it."""
    match error:
        case UnicodeDecodeError():
            return f"not UTF-8 text (byte {error.start})"
        case RecursionError():
            return "nested too deep"
    message = str(error)
    place = _PLACE.search(message)
    known = _HARMLESS.match(message)
    return (known[0] if known else "a value that is not understood") + (place[0] if place else "")


def explain_misfit(error: msgspec.ValidationError, wanted: Any) -> tuple[str, tuple[str, ...]]:
    """Return what a value of a document must be, and under which key it stands; quotes no value.

    The key is cut where it is not known: a list has none, nor has a table whose keys are anybody's.
    """
    text, (place, *_) = explain_decode_error(error), [*_PLACE.findall(str(error)), ""]
    path = place.partition("`$")[2].rstrip("`").partition("[")[0]
    key = tuple(name for name, _ in _STEP.findall(path))
    field = _type_at(wanted, list(key))
    if options := [f'"{option}"' for option in _literals(field)]:
        is_list = any(get_origin(member) is list for member in (field, *get_args(field)))
        return f"must be {'a list of' if is_list else 'one of'} {', '.join(options)}", key
    kind = _WRONG_TYPE.match(str(error)) if place.endswith(f"`${path}`") else None
    if kind is not None and (plain := _PLAIN.get(kind["wanted"].removesuffix(" | null"))):
        return f"must be {plain}", key
    return f"cannot be used: {text.removesuffix(place)}", key


def _literals(wanted: Any) -> tuple[str, ...]:
    """List what is enumerated in a type, at whatever depth: that of a list, or beside null."""
    if get_origin(wanted) is Literal:
        return get_args(wanted)
    return tuple(option for member in get_args(wanted) for option in _literals(member))


def explain_validation_error(error: msgspec.ValidationError, params: bytes, wanted: Any) -> str:
    """Translate what msgspec says about `params`, which should have been of the type `wanted`.

    Quotes a value of the wrong type, as Codex does: it is for the client that sent it, and for nobody else.
    """
    message = str(error)
    if match := _MISSING.match(message):
        return f"missing field `{match['field']}`"
    match = _OUT_OF_RANGE.match(message) or _WRONG_VALUE.match(message) or _WRONG_TYPE.match(message)
    if match is None:
        return _explain_otherwise(error)
    if len(params) > MAX_EXPLAINED:
        return _explain_otherwise(error)
    path = [name or int(index) for name, index in _STEP.findall(match["path"] or "")]
    try:
        value = _value_at(params, path)
    except (ValueError, RecursionError):  # the first decoding stopped before it came to this
        return _explain_otherwise(error)
    if match.re is _OUT_OF_RANGE:
        kind = _WANTED.get(match["wanted"], match["wanted"])
        return f"invalid value: {_describe(value)}, expected {kind} {match['bound']}"
    options = _options(wanted, path)
    if match.re is _WRONG_VALUE:
        # msgspec reads the first of two equal tags, and complains of the second if that is another.
        return f"duplicate field `{path[-1]}`" if value in options else _unknown_variant(value, options)
    kind = match["wanted"].split(" | ")[0]
    expected = "variant identifier" if options and kind == "str" else _WANTED.get(kind)
    return f"invalid type: {_describe(value)}, expected {expected or _name_of(_type_at(wanted, path))}"


def _explain_otherwise(error: msgspec.ValidationError) -> str:
    text = explain_decode_error(error)
    return text[:1].lower() + text[1:]


def _unknown_variant(value: object, options: tuple[str, ...]) -> str:
    names = [f"`{option}`" for option in options]
    return f"unknown variant `{value}`, expected " + (
        " or ".join(names) if len(names) < 3 else f"one of {', '.join(names)}"
    )


def _value_at(params: bytes, path: list[str | int]) -> object:
    """Follow a path through JSON, as far as it leads. Of a list or an object, it is told that it is one.

    Raises ValueError or RecursionError for what cannot be decoded on the way.
    """
    value = msgspec.json.decode(params, type=msgspec.Raw)
    for step in path:
        try:
            if isinstance(step, str):
                value = msgspec.json.decode(value, type=dict[str, msgspec.Raw])[step]
            else:
                value = msgspec.json.decode(value, type=list[msgspec.Raw])[step]
        except (msgspec.ValidationError, KeyError, IndexError):
            break
    match bytes(value)[:1]:
        case b"[":
            return []
        case b"{":
            return {}
        case _:
            return msgspec.json.decode(value, type=_Scalar)


def _type_at(wanted: Any, path: list[str | int]) -> Any:
    """Follow a path through the fields of Structs; None where it leaves them."""
    for step in path:
        fields = {
            field.encode_name: field.type for struct in _structs(wanted) for field in msgspec.structs.fields(struct)
        }
        wanted = fields.get(str(step))
    return wanted


def _structs(wanted: Any) -> list[type[msgspec.Struct]]:
    """List the Structs of which something may be one."""
    members = get_args(wanted) or (wanted,)
    return [member for member in members if isinstance(member, type) and issubclass(member, msgspec.Struct)]


def _options(wanted: Any, path: list[str | int]) -> tuple[str, ...]:
    """List what may stand in the tag field of a union of Structs, or in an enumerated field of a Struct."""
    if not path:
        return ()
    owners = _structs(_type_at(wanted, path[:-1]))
    tags = [str(owner.__struct_config__.tag) for owner in owners if owner.__struct_config__.tag_field == path[-1]]
    field = _type_at(wanted, path)
    return (*tags, *_literals(field))


def _name_of(wanted: Any) -> str:
    """Name an object as serde does; a union of Structs has no name that we know."""
    structs = _structs(wanted)
    return f"struct {structs[0].__name__}" if len(structs) == 1 else "a map"


def _describe(value: object) -> str:
    """Name a JSON value as serde does: `string "yes"`, `integer `5``, `null`."""
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int():
            return f"integer `{value}`"
        case float():
            return f"floating point `{value}`"
        case str():
            return f"string {msgspec.json.encode(value).decode()}"
        case list():
            return "sequence"
        case _:
            return "map"
