"""What the sandbox shall do: every knob, its default, and how a change to them is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from accountd.errors import ConfigError
from accountd.foreign_json import UNDECODABLE
from accountd.oauth.device import LIFETIME
from accountd.protocol.explain import explain_decode_error

if TYPE_CHECKING:
    from collections.abc import Collection

Authorize: TypeAlias = Literal["ask", "approve", "deny", "not_entitled", "no_code", "server_error"]
"""What becomes of a browser login."""

_Seconds = Annotated[float, Meta(ge=0, le=10 * 365 * 86_400)]


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who logs in: what tokens issued from now on say."""

    email: str = "ada@example.com"
    account_id: str = "account-sandbox"
    user_id: str = "user-sandbox"
    plan: str = "plus"
    workspace_name: str | None = "Sandbox workspace"


class Workspace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A workspace that the person has besides that of the claims.

    `sign_in`: it wants one of its own, with the single sign-on of `sso_connection` if that is named. One that is
    `deactivated`, or of the `government`, is listed and cannot be had.
    """

    account_id: str
    name: str | None = None
    plan: str = "team"
    sign_in: bool = False
    sso_connection: str | None = None
    deactivated: bool = False
    government: bool = False

    def claims_of(self, person: Claims) -> Claims:
        """Say what a person's tokens for this workspace do."""
        return msgspec.structs.replace(person, account_id=self.account_id, plan=self.plan, workspace_name=self.name)


class BadFault(ValueError):
    """A fault that no answer could be. The text says what is wrong."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One request that goes wrong: the `nth` to `path`, counted from 1 since the script was last set.

    `status` 0 drops the connection without an answer. A `body` that is text is sent as it is, anything else as
    JSON. `after` lets the request take effect first, so that only its answer is lost or wrong. The API key of a
    browser login is its second POST to /oauth/token, so {"path": "/oauth/token", "nth": 2, "status": 401} refuses
    that alone; without a fault the key is given.
    """

    path: str
    nth: Annotated[int, Meta(ge=1)]
    status: Annotated[int, Meta(ge=0, le=599)]
    body: Any | UnsetType = UNSET
    after: bool = False

    def __post_init__(self) -> None:
        if 0 < self.status < 200:
            raise BadFault("status must be 0, or from 200 to 599")


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole script. Without one, every login waits for a person, at `/codex/device` or `/oauth/authorize`.

    `approve_after_polls`  so many polls are "pending", and the next one is approved; null: a person decides
    `deny`, `expire`       what is decided instead: at once, or after `approve_after_polls`
    `disabled`             device-code login answers 404, as where a workspace forbids it
    `authorize`            what a browser login gets: "ask" a person, or without a page, at once, "approve", "deny",
                           "not_entitled" (denied, as where a workspace has no Codex), "no_code" (the state alone),
                           "server_error"; "approve" does not look at the allowed workspaces
    `delay`                seconds before each answer, but for those of `/sandbox/…`
    `interval`             what the answer with the code says of polling, text or number; null: nothing
    `workspaces`           what workspaces the person has besides that of the claims
    `token_lifetime`       seconds for which access and ID tokens issued from now on are good
    `code_lifetime`        seconds for which user codes issued from now on are good
    """

    approve_after_polls: Annotated[int, Meta(ge=0)] | None = None
    deny: bool = False
    expire: bool = False
    disabled: bool = False
    authorize: Authorize = "ask"
    delay: _Seconds = 0.0
    interval: str | int | None = "1"
    faults: tuple[Fault, ...] = ()
    claims: Claims = Claims()
    workspaces: tuple[Workspace, ...] = ()
    token_lifetime: _Seconds = 3600.0
    code_lifetime: _Seconds = LIFETIME

    def claims_in(self, account_ids: Collection[str]) -> Claims:
        """Say what tokens do that are for one of these workspaces; for the person's first one if that will do."""
        if account_ids and self.claims.account_id not in account_ids:
            for workspace in self.workspaces:
                if workspace.account_id in account_ids and not workspace.deactivated:
                    return workspace.claims_of(self.claims)
        return self.claims


def merge_script(script: Script, changes: bytes) -> Script:
    """Return the script with the changes of a JSON object made to it; `claims` change one by one.

    Raises ConfigError, naming the key that is unknown or has a wrong value.
    """
    try:
        new = msgspec.json.decode(changes, type=dict[str, Any])
        old = msgspec.to_builtins(script)
        if isinstance(new.get("claims"), dict):
            new["claims"] = old["claims"] | new["claims"]
        merged = msgspec.convert(old | new, Script)
        msgspec.json.encode(merged)  # a fault's body nested too deep to be sent is found here
    except msgspec.ValidationError as error:
        raise ConfigError(f"script: {_explain(error)}") from None
    except UNDECODABLE as error:
        raise ConfigError(f"script: not JSON: {explain_decode_error(error)}") from None
    return merged


def _explain(error: msgspec.ValidationError) -> str:
    """Name what is wrong: in our own words, which msgspec wraps in its error, or in those for a wrong type."""
    return str(error.__cause__) if isinstance(error.__cause__, BadFault) else explain_decode_error(error)
