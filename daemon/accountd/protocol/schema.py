"""The protocol as JSON Schema: a file for each message and each envelope, made of the tables and their Structs.

The layout, the names and the dialect (draft-07) are those of `codex app-server generate-json-schema`, so that what
reads that folder reads this one: `v1` has what is called without a slash, `v2` the rest, the root what goes around
them. Beside these, `accountd` has what is ours. A message for clients alone that declare a capability says so in
its description, and in `x-capability`.

What the server sends is always whole, so all members of that are required, but for those that stand for nothing by
not being there; of what a client sends, a member that has a default may be left out.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from accountd.protocol import account, jsonrpc
from accountd.protocol.methods import EXTENSION_NOTIFICATIONS, METHODS, NOTIFICATIONS, SERVER_REQUESTS
from accountd.protocol.reasons import EXTENSION

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

BUNDLE: Final = "codex_app_server_protocol.v2.schemas.json"
"""All definitions in one file, which has this name in Codex too."""

_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
_REF: Final = "#/definitions/"
_EXPERIMENTAL: Final = "experimentalApi"
_CAPABILITY: Final = "x-capability"
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


class _Message(msgspec.Struct, frozen=True):
    """A type that has a file: in which folder, from which side, and for whom. `nullable`: null will do as well."""

    type: Any
    folder: str = ""
    sent: bool = True
    nullable: bool = False
    capability: str | None = None

    @property
    def path(self) -> str:
        """Where the file is. What may be null is called so, as in Codex."""
        return f"{self.folder}{'Nullable' if self.nullable else ''}{_name(self.type)}.json"


def render_files() -> dict[str, bytes]:
    """Render every file, by its path in the folder. They are the same bytes each time."""
    messages = {_name(message.type): message for message in reversed([*_messages()])}  # the first of a name counts
    paths = {name: message.path for name, message in messages.items()}
    definitions = _define(messages)
    envelopes = {
        "ClientRequest": _one_of("What a client may ask.", _requests(paths)),
        "ServerNotification": _one_of("What the server tells.", _notifications()),
        "ServerRequest": _one_of("What the server asks of a client.", _server_requests(paths)),
    }
    for name, schema in (definitions | envelopes).items():
        schema["title"] = name
    files = {message.path: definitions[name] for name, message in messages.items()}
    for name, message in messages.items():
        if message.nullable:
            files[message.path] = {"title": f"Nullable{name}"} | _nullable(name)
    files |= {f"{name}.json": envelope for name, envelope in envelopes.items()}
    files = {path: _file(schema, definitions) for path, schema in files.items()}
    files[BUNDLE] = {
        "$schema": _DIALECT,
        "title": "AccountdProtocol",
        "definitions": dict(sorted((definitions | envelopes).items())),
    }
    return {path: msgspec.json.format(msgspec.json.encode(files[path])) + b"\n" for path in sorted(files)}


def _messages() -> Iterator[_Message]:
    for name, row in METHODS.items():
        folder, capability = ("v2/" if "/" in name else "v1/"), None
        if row.extension:
            folder, capability = "accountd/", EXTENSION
        elif row.params in row.experimental:
            capability = _EXPERIMENTAL
        if row.params is not None:
            yield _Message(row.params, folder, sent=False, nullable=row.optional, capability=capability)
        yield _Message(row.result, folder, capability=capability)
    for body in NOTIFICATIONS:
        ours = body in EXTENSION_NOTIFICATIONS
        yield _Message(body, "accountd/" if ours else "v2/", capability=EXTENSION if ours else None)
    for asked in SERVER_REQUESTS:
        yield _Message(asked.params)
        yield _Message(asked.result, sent=False)
    yield from map(_Message, (jsonrpc.RequestId, jsonrpc.Result, jsonrpc.Error, jsonrpc.ErrorBody))


# definitions


def _define(messages: dict[str, _Message]) -> dict[str, Schema]:
    """Make the definitions of all messages, and of all that they are made of."""
    types = [message.type for message in messages.values()]
    roots, components = msgspec.json.schema_components(types, ref_template=_REF + "{name}")
    renamed = {found.__name__: name for found, name in _NAMES.items() if isinstance(found, type)}
    definitions: dict[str, Schema] = {
        renamed.get(name, name): _tidy(components[name], renamed) for name in components
    }
    for root, name in zip(roots, messages, strict=True):
        definitions.setdefault(name, _tidy(root, renamed))  # a union, which is no component
    for name, message in messages.items():
        for part in (name, *_parts(definitions[name], definitions)):
            members = definitions[part].get("properties") if message.sent else None
            if members is not None:
                needed = definitions[part].get("required", ())
                definitions[part]["required"] = [
                    name for name, member in members.items() if name in needed or "default" in member
                ]
                for member in members.values():
                    member.pop("default", None)
        if message.capability:
            _mark(definitions[name], message.capability)
    for row in METHODS.values():
        for params in row.experimental:
            _mark(definitions[_name(params)], _EXPERIMENTAL)
    return definitions


def _tidy(schema: Any, renamed: dict[str, str]) -> Any:
    """Take msgspec's schema over: the names are those of here, and what is OpenAPI's alone is left out."""
    match schema:
        case {"$ref": str(ref)}:
            name = ref.removeprefix(_REF)
            return {**schema, "$ref": _REF + renamed.get(name, name)}
        case {"description": str(text), "properties": dict(properties)}:
            tidy = {name: _tidy(each, renamed) for name, each in properties.items()}
            return {**schema, "description": _in_wire_names(inspect.cleandoc(text), properties), "properties": tidy}
        case dict():
            return {key: _tidy(each, renamed) for key, each in schema.items() if key != "discriminator"}
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


def _mark(schema: Schema, capability: str) -> None:
    """Say, once, that a capability is needed."""
    if _CAPABILITY not in schema:
        told = f"Only with the capability `{capability}`."
        schema["description"] = f"{schema['description']}\n\n{told}" if "description" in schema else told
        schema[_CAPABILITY] = capability


# envelopes


def _requests(paths: dict[str, str]) -> Iterator[Schema]:
    for name, row in METHODS.items():
        params: Schema = {"type": "null"}
        if row.params is not None:
            params = _nullable(_name(row.params)) if row.optional else _ref(_name(row.params))
        request = _call(name, params, paths[_name(row.result)], optional=row.optional or row.params is None)
        if row.extension or row.params in row.experimental:
            _mark(request, EXTENSION if row.extension else _EXPERIMENTAL)
        yield request


def _server_requests(paths: dict[str, str]) -> Iterator[Schema]:
    for asked in SERVER_REQUESTS:
        yield _call(asked.method, _ref(_name(asked.params)), paths[_name(asked.result)])


def _notifications() -> Iterator[Schema]:
    for body, method in NOTIFICATIONS.items():
        stamp = {"type": "integer", "description": "When it was sent: Unix time in milliseconds."}
        members = {"method": {"enum": [method]}, "params": _ref(_name(body)), "emittedAtMs": stamp}
        notification = {"title": _title(method, "Notification"), "type": "object", "properties": members}
        notification["required"] = [*members]
        if body in EXTENSION_NOTIFICATIONS:
            _mark(notification, EXTENSION)
        yield notification


def _call(method: str, params: Schema, result: str, *, optional: bool = False) -> Schema:
    """Make a request's envelope. `result` is the file of its answer."""
    return {
        "title": _title(method, "Request"),
        "type": "object",
        "properties": {"id": _ref("RequestId"), "method": {"enum": [method]}, "params": params},
        "required": ["id", "method"] if optional else ["id", "method", "params"],
        "x-result": result,
    }


def _one_of(description: str, schemas: Iterator[Schema]) -> Schema:
    return {"description": description, "oneOf": [*schemas]}


def _title(method: str, kind: str) -> str:
    return f"{method[:1].upper()}{method[1:]}{kind}"


# files


def _file(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Make a schema stand alone, with the definitions that it needs."""
    parts = {name: definitions[name] for name in sorted(_parts(schema, definitions))}
    return {"$schema": _DIALECT, "title": schema["title"], **schema, **({"definitions": parts} if parts else {})}


def _parts(schema: Schema, definitions: dict[str, Schema]) -> set[str]:
    """Find the definitions that a schema refers to, and those that they refer to."""
    found, frontier = set[str](), [schema]
    while frontier:
        text = msgspec.json.encode(frontier.pop()).decode()
        new = set(re.findall(rf'"\$ref":"{_REF}(\w+)"', text)) - found
        found |= new
        frontier += [definitions[name] for name in new]
    return found


def _name(found: Any) -> str:
    return _NAMES.get(found) or str(found.__name__)


def _ref(name: str) -> Schema:
    return {"$ref": _REF + name}


def _nullable(name: str) -> Schema:
    return {"anyOf": [_ref(name), {"type": "null"}]}
