"""Anything that a message's type allows, for Hypothesis: from the type itself, so that no list of examples is."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def instances_of(declared: Any) -> st.SearchStrategy[Any]:
    """Give instances of a Struct, or of a union of some, with every member chosen."""
    return _strategy(inspect.type_info(declared))


def _strategy(found: inspect.Type) -> st.SearchStrategy[Any]:
    match found:
        case inspect.StructType():
            members = {field.name: _strategy(field.type) for field in found.fields}
            return st.fixed_dictionaries(members).flatmap(lambda values: _construct(found.cls, values))
        case inspect.UnionType():
            return st.one_of(*map(_strategy, found.types))
        case inspect.LiteralType():
            return st.sampled_from(found.values)
        case inspect.VarTupleType():
            return st.lists(_strategy(found.item_type), max_size=3).map(tuple)
        case inspect.ListType():
            return st.lists(_strategy(found.item_type), max_size=3)
        case inspect.DictType():
            return st.dictionaries(_strategy(found.key_type), _strategy(found.value_type), max_size=3)
        case inspect.Metadata(type=inner):
            return _strategy(inner)
        case inspect.AnyType():
            return JSON
        case _:
            return _scalars(found)


def _scalars(found: inspect.Type) -> st.SearchStrategy[Any]:
    match found:
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern)
        case inspect.StrType(min_length=shortest):
            return st.text(min_size=shortest or 0, max_size=(shortest or 0) + 5)
        case inspect.IntType(ge=least, le=most):
            return st.integers(-(2**63) if least is None else least, 2**63 - 1 if most is None else most)
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
    raise NotImplementedError(found)  # a message has a member of a type that none had before


def _construct(struct: type[msgspec.Struct], values: dict[str, Any]) -> st.SearchStrategy[Any]:
    try:
        return st.just(struct(**values))
    except ValueError:  # members that are good alone, and contradict each other
        return st.nothing()


def as_json(body: Any) -> Any:
    """Give a body as it is on the wire, decoded."""
    return msgspec.json.decode(msgspec.json.encode(body))
