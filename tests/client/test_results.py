"""The dicts of the blocking client are the Structs of the protocol, field by field."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import msgspec
import pytest

from accountd.client import results
from accountd.codex.plans import PlanType
from accountd.protocol import account, accounts, sessions, usage

MODULES = (account, usage, accounts, sessions)

FOR_THE_TYPE_CHECKER = {
    "PlanType": PlanType,
    "RoutingOverride": account.RoutingOverride,
    "AuthMode": account.AuthMode,
    "ImportOutcome": accounts.ImportOutcome,
    "State": accounts.State,
    "WorkspaceKind": sessions.WorkspaceKind,
}
"""What the dicts import for it alone."""

DICTS = [value for value in vars(results).values() if is_typeddict(value)]


def struct_of(described: Any) -> Any:
    """Find the Struct of the same name."""
    found = next((vars(m)[described.__name__] for m in MODULES if described.__name__ in vars(m)), None)
    assert found is not None, described
    return found


def canonical(hint: Any) -> Any:
    """Bring a type into a form in which both kinds are equal: names of objects, and lists for sequences."""
    if (isinstance(hint, type) and issubclass(hint, msgspec.Struct)) or is_typeddict(hint):
        return hint.__name__
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return canonical(args[0])
    if origin in (Union, types.UnionType):
        return frozenset(canonical(member) for member in args)
    if origin is Literal:
        return (Literal, frozenset(args))
    if origin in (list, tuple):
        return (list, canonical(args[0]))
    if origin is dict:
        return (dict, *map(canonical, args))
    return hint


@pytest.mark.parametrize("described", DICTS, ids=lambda described: str(described.__name__))
def test_a_dict_has_the_fields_of_its_struct(described: Any) -> None:
    """Names as on the wire, types as in the Struct, the tag as a field; no more and no less."""
    struct = struct_of(described)
    fields = {field.encode_name: canonical(field.type) for field in msgspec.structs.fields(struct)}
    if struct.__struct_config__.tag is not None:
        fields[struct.__struct_config__.tag_field] = (Literal, frozenset({struct.__struct_config__.tag}))
    hints = get_type_hints(described, localns=FOR_THE_TYPE_CHECKER)
    assert {name: canonical(hint) for name, hint in hints.items()} == fields


def test_there_are_dicts_to_compare() -> None:
    """The test above is about something."""
    assert len(DICTS) > 15
