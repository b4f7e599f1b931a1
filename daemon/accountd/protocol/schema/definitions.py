"""The definitions: each message of the tables and all that it is made of, as JSON Schema.

What the server sends is always whole, so all members of that are required, but for those that stand for nothing by
not being there; of what a client sends, a member that has a default may be left out.

There is no keyword that draft-07 does not have, since strict readers refuse it: which capability a message needs is
told in its description, and in `$comment`. A `$ref` has no neighbours, which would be ignored, or taken for another
type.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from accountd.protocol import account, jsonrpc
from accountd.protocol.methods import EXTENSION_NOTIFICATIONS, METHODS, NOTIFICATIONS, SERVER_REQUESTS
from accountd.protocol.reasons import CAPABILITY, EXTENSION

if TYPE_CHECKING:
    from collections.abc import Iterator


Schema = dict[str, Any]

REF: Final = "#/definitions/"
_OPENAPI: Final = ("discriminator", "format")
"""Keywords of OpenAPI's; the format is `password`, of a text that nobody should see."""
EXPERIMENTAL: Final = "experimentalApi"
_COMMENT: Final = "$comment"
"""Nothing else is told in it than a capability."""
_NAMES: Final[dict[Any, str]] = {
    account.LoginAccountParams: "LoginAccountParams",
    account.LoginAccountResponse: "LoginAccountResponse",
    jsonrpc.RequestId: "RequestId",
    jsonrpc.Result: "JSONRPCResponse",
    jsonrpc.Error: "JSONRPCError",
    jsonrpc.ErrorBody: "JSONRPCErrorError",
    **{body: f"{body.__name__}Notification" for body in NOTIFICATIONS},
}
"""What a type is called here that has no name in Python, or another one."""


class Message(msgspec.Struct, frozen=True):
    """A type that has a file: in which folder, from which side, and for whom. `nullable`: null will do as well."""

    type: Any
    folder: str = ""
    sent: bool = True
    nullable: bool = False
    capability: str | None = None

    @property
    def path(self) -> str:
        """Where the file is. What may be null is called so, as in Codex."""
        return f"{self.folder}{'Nullable' if self.nullable else ''}{name_of(self.type)}.json"


def collect() -> dict[str, Message]:
    """List every message that has a file, by its name."""
    return {name_of(message.type): message for message in reversed([*_messages()])}  # the first of a name counts


def _messages() -> Iterator[Message]:
    for name, row in METHODS.items():
        folder, capability = ("v2/" if "/" in name else "v1/"), None
        if row.extension:
            folder, capability = "accountd/", EXTENSION
        elif row.params in row.experimental:
            capability = EXPERIMENTAL
        if row.params is not None:
            yield Message(row.params, folder, sent=False, nullable=row.optional, capability=capability)
        yield Message(row.result, folder, capability=capability)
    for body in NOTIFICATIONS:
        ours = body in EXTENSION_NOTIFICATIONS
        yield Message(body, "accountd/" if ours else "v2/", capability=EXTENSION if ours else None)
    for asked in SERVER_REQUESTS:
        yield Message(asked.params)
        yield Message(asked.result, sent=False)
    yield from map(Message, (jsonrpc.RequestId, jsonrpc.Result, jsonrpc.Error, jsonrpc.ErrorBody))


# definitions


def define(messages: dict[str, Message]) -> dict[str, Schema]:
    """Make the definitions of all messages, and of all that they are made of."""
    types = [message.type for message in messages.values()]
    roots, components = msgspec.json.schema_components(types, ref_template=REF + "{name}")
    renamed = {found.__name__: name for found, name in _NAMES.items() if isinstance(found, type)}
    definitions: dict[str, Schema] = {
        renamed.get(name, name): _tidy(components[name], renamed) for name in components
    }
    for root, name in zip(roots, messages, strict=True):
        definitions.setdefault(name, _tidy(root, renamed))  # a union, which is no component
    for name, message in messages.items():
        for part in (name, *find_parts(definitions[name], definitions)):
            members = definitions[part].get("properties") if message.sent else None
            if members is not None:
                needed = definitions[part].get("required", ())
                definitions[part]["required"] = [
                    name for name, member in members.items() if name in needed or "default" in member
                ]
                for member in members.values():
                    member.pop("default", None)
        if message.capability:
            mark(definitions[name], message.capability)
    for row in METHODS.values():
        for params in row.experimental:
            mark(definitions[name_of(params)], EXPERIMENTAL)
    return definitions


def _tidy(schema: Any, renamed: dict[str, str]) -> Any:
    """Take msgspec's schema over: the names are those of here, and what is OpenAPI's alone is left out."""
    match schema:
        case {"$ref": str(ref)}:
            name = ref.removeprefix(REF)
            others = {key: each for key, each in schema.items() if key != "$ref"}
            found = ref_to(renamed.get(name, name))
            return {"allOf": [found], **others} if others else found
        case {"description": str(text), "properties": dict(properties)}:
            tidy = {name: _tidy(each, renamed) for name, each in properties.items()}
            return {**schema, "description": _in_wire_names(inspect.cleandoc(text), properties), "properties": tidy}
        case dict():
            return {key: _tidy(each, renamed) for key, each in schema.items() if key not in _OPENAPI}
        case list():
            return [_tidy(each, renamed) for each in schema]
        case _:
            return schema


def _in_wire_names(docstring: str, properties: Schema) -> str:
    """Call the members in a text what they are called on the wire."""

    def rename(word: re.Match[str]) -> str:
        name = re.sub(r"_(\w)", lambda letter: letter[1].upper(), word[1])
        return f"`{name}`" if name in properties else word[0]

    return re.sub(r"`(\w+)`", rename, docstring)


def mark(schema: Schema, capability: str) -> None:
    """Say, once, that a capability is needed."""
    if _COMMENT not in schema:
        told = f"Only with the capability `{capability}`."
        schema["description"] = f"{schema['description']}\n\n{told}" if "description" in schema else told
        schema[_COMMENT] = f"{CAPABILITY}{capability}"


def find_parts(schema: Schema, definitions: dict[str, Schema]) -> set[str]:
    """Find the definitions that a schema refers to, and those that they refer to."""
    found, frontier = set[str](), [schema]
    while frontier:
        new = find_references(frontier.pop()) - found
        found |= new
        frontier += [definitions[name] for name in new]
    return found


def find_references(schema: Schema) -> set[str]:
    """Find the definitions that a schema itself refers to."""
    return set(re.findall(rf'"\$ref":"{REF}(\w+)"', msgspec.json.encode(schema).decode()))


def name_of(found: Any) -> str:
    """Return what a type is called in the schema."""
    return _NAMES.get(found) or str(found.__name__)


def ref_to(name: str) -> Schema:
    """Refer to a definition."""
    return {"$ref": REF + name}


def nullable(name: str) -> Schema:
    """Refer to a definition in whose place null may be."""
    return {"anyOf": [ref_to(name), {"type": "null"}]}
