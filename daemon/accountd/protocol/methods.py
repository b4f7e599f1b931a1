"""THE table: every method with its params and its gates, and every notification.

A method is added here, given a function of its name in `server.handlers`, and that is all.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from accountd.errors import InvalidRequest
from accountd.protocol import account, usage
from accountd.protocol.explain import explain_validation_error


class Method(msgspec.Struct, frozen=True):
    """What a method takes, and who may call it when.

    `params` is None for a method that takes nothing and ignores whatever it is sent; they may be left out
    where they are `optional`.
    `in_turn`: later requests of the same connection wait until this one is answered, because it changes what
    they would see. `experimental`: the params types that need `experimentalApi`. `extension`: it is ours, and
    shown only to clients that declare the accountd extension. `before_initialize`: the one method that opens
    a connection.
    """

    params: Any = None
    optional: bool = False
    in_turn: bool = False
    experimental: tuple[type[msgspec.Struct], ...] = ()
    extension: bool = False
    before_initialize: bool = False


METHODS: Final[dict[str, Method]] = {
    "initialize": Method(account.InitializeParams, in_turn=True, before_initialize=True),
    "account/login/start": Method(
        account.LoginAccountParams, in_turn=True, experimental=(account.ExternalTokensLogin,)
    ),
    "account/login/cancel": Method(account.CancelLoginAccountParams, in_turn=True),
    "account/login/submitCallback": Method(account.SubmitCallbackParams, in_turn=True, extension=True),
    "account/login/list": Method(extension=True),
    "account/read": Method(account.GetAccountParams),
    "account/logout": Method(in_turn=True),
    "account/forget": Method(in_turn=True, extension=True),
    "account/token/read": Method(account.ReadTokenParams, extension=True),
    "account/store/read": Method(extension=True),
    "configRequirements/read": Method(),
    "getAuthStatus": Method(account.GetAuthStatusParams),
    "account/rateLimits/read": Method(usage.GetAccountRateLimitsParams, optional=True),
    "account/rateLimitResetCredit/consume": Method(usage.ConsumeRateLimitResetCreditParams),
    "account/usage/read": Method(usage.GetAccountTokenUsageParams, optional=True),
    "account/workspaceMessages/read": Method(),
    "account/sendAddCreditsNudgeEmail": Method(usage.SendAddCreditsNudgeEmailParams),
    "account/securitySetup/read": Method(),
    "accountSession/list": Method(usage.AccountSessionsListParams, experimental=(usage.AccountSessionsListParams,)),
}

TOKEN_METHODS: Final = frozenset({"initialize", "account/read", "getAuthStatus"})
"""What a socket answers that is for handing out tokens alone: to a container, which may change nothing."""

NOTIFICATIONS: Final[dict[type[account.Wire], str]] = {
    account.AccountLoginCompleted: "account/login/completed",
    account.AccountLoginProgress: "account/login/progress",
    account.AccountUpdated: "account/updated",
}

_DECODERS: Final = {
    name: msgspec.json.Decoder(method.params) for name, method in METHODS.items() if method.params is not None
}


def find_method(name: str, *, extension: bool) -> Method:
    """Look a method up. Raises InvalidRequest with Codex's words for an unknown one.

    Without `extension`, what is ours does not exist.
    """
    method = METHODS.get(name)
    if method is None or (method.extension and not extension):
        known = ", ".join(f"`{known}`" for known in METHODS if extension or not METHODS[known].extension)
        raise InvalidRequest(f"Invalid request: unknown variant `{name}`, expected one of {known}")
    return method


def parse_params(name: str, params: msgspec.Raw | msgspec.UnsetType) -> Any:
    """Decode a method's params into its Struct. Raises InvalidRequest in serde's words, as Codex answers."""
    decoder = _DECODERS.get(name)
    if decoder is None:
        return None
    if isinstance(params, msgspec.UnsetType) or bytes(params) == b"null":
        if METHODS[name].optional:
            return decoder.decode(b"{}")
        raise InvalidRequest("Invalid request: missing field `params`")
    try:
        return decoder.decode(params)
    except msgspec.ValidationError as error:
        text = explain_validation_error(str(error), bytes(params), METHODS[name].params)
        raise InvalidRequest(f"Invalid request: {text}") from None  # the cause may quote a key or token
    except (ValueError, RecursionError):  # what the envelope's decoding had skipped
        raise InvalidRequest("Invalid request: params could not be read") from None


def experimental_reason(name: str, params: object) -> str | None:
    """Name what in a request needs `experimentalApi`, as Codex names it, or None if nothing does."""
    if type(params) not in METHODS[name].experimental:
        return None
    tag = type(params).__struct_config__.tag  # type: ignore[attr-defined]  # a Struct, by the line above
    return name if tag is None else f"{name}.{tag}"


def is_in_turn(name: str) -> bool:
    """Say whether later requests of a connection wait for this method, known or not, to be answered."""
    method = METHODS.get(name)
    return method is not None and method.in_turn
