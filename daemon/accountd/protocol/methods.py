"""THE table: every method with its params, its result and its gates; every notification; what clients are asked.

A method is added here, given a function of its name in `server.handlers`, and that is all.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import msgspec

from accountd.errors import InvalidRequest
from accountd.foreign_json import UNDECODABLE
from accountd.protocol import account, accounts, sessions, usage
from accountd.protocol.explain import explain_validation_error
from accountd.protocol.requirements import ConfigRequirementsReadResponse
from accountd.protocol.status import (
    AppServerStatus,
    CloseTokenSocketResponse,
    OpenTokenSocketParams,
    OpenTokenSocketResponse,
    ReportAppServerResponse,
    StatusResponse,
)

ParamsT = TypeVar("ParamsT")
ResultT = TypeVar("ResultT")


class Method(msgspec.Struct, frozen=True):
    """What a method takes and what it is answered, and who may call it when.

    `params` is None for a method that takes nothing and ignores whatever it is sent; they may be left out
    where they are `optional`. `result` is a Struct, or a union of some.
    `besides` are members that count from clients alone that declare the accountd extension.
    `in_turn`: later requests of the same connection wait until this one is answered, because it changes what
    they would see. `experimental`: the params types that need `experimentalApi`. `extension`: it is ours, and
    shown only to clients that declare the accountd extension. `before_initialize`: the one method that opens
    a connection.
    """

    params: Any
    result: Any
    optional: bool = False
    in_turn: bool = False
    experimental: tuple[type[msgspec.Struct], ...] = ()
    extension: bool = False
    before_initialize: bool = False
    besides: type[msgspec.Struct] | None = None


METHODS: Final[dict[str, Method]] = {
    "initialize": Method(
        account.InitializeParams, account.InitializeResponse, in_turn=True, before_initialize=True
    ),
    "account/login/start": Method(
        account.LoginAccountParams,
        account.LoginAccountResponse,
        in_turn=True,
        experimental=(account.ExternalTokensLogin,),
        besides=account.OfLogin,
    ),
    "account/login/cancel": Method(
        account.CancelLoginAccountParams, account.CancelLoginAccountResponse, in_turn=True
    ),
    "account/login/submitCallback": Method(
        account.SubmitCallbackParams, account.SubmitCallbackResponse, in_turn=True, extension=True
    ),
    "account/login/list": Method(None, account.ListLoginsResponse, extension=True),
    "account/read": Method(account.GetAccountParams, account.GetAccountResponse, besides=account.OfAccount),
    "account/logout": Method(None, account.LogoutAccountResponse, in_turn=True, besides=account.OfAccount),
    "account/forget": Method(
        None, account.LogoutAccountResponse, in_turn=True, extension=True, besides=account.OfAccount
    ),
    "account/token/read": Method(
        account.ReadTokenParams, account.ReadTokenResponse, extension=True, besides=account.OfAccount
    ),
    "account/store/read": Method(None, account.ReadStoreResponse, extension=True, besides=account.OfAccount),
    "accountd/status": Method(None, StatusResponse, extension=True, besides=account.OfAccount),
    "accountd/appServer/report": Method(AppServerStatus, ReportAppServerResponse, extension=True),
    "accountd/accounts/list": Method(
        accounts.ListAccountsParams, accounts.ListAccountsResponse, optional=True, extension=True
    ),
    "accountd/accounts/select": Method(
        accounts.SelectAccountParams, accounts.SelectAccountResponse, in_turn=True, extension=True
    ),
    "accountd/accounts/switch": Method(
        accounts.SwitchAccountParams, accounts.SwitchAccountResponse, in_turn=True, extension=True
    ),
    "accountd/accounts/rename": Method(
        accounts.RenameAccountParams, accounts.AccountsDone, in_turn=True, extension=True
    ),
    "accountd/accounts/import": Method(
        accounts.ImportAccountsParams, accounts.ImportAccountsResponse, in_turn=True, extension=True
    ),
    "accountd/accounts/remove": Method(
        accounts.RemoveAccountParams, accounts.AccountsDone, in_turn=True, extension=True
    ),
    "accountd/pins/read": Method(None, accounts.ReadPinsResponse, extension=True),
    "accountd/pins/write": Method(accounts.WritePinParams, accounts.AccountsDone, in_turn=True, extension=True),
    "accountd/tokenSocket/open": Method(
        OpenTokenSocketParams, OpenTokenSocketResponse, in_turn=True, extension=True
    ),
    "accountd/tokenSocket/close": Method(None, CloseTokenSocketResponse, in_turn=True, extension=True),
    "configRequirements/read": Method(None, ConfigRequirementsReadResponse),
    "getAuthStatus": Method(account.GetAuthStatusParams, account.GetAuthStatusResponse, besides=account.OfAccount),
    "account/rateLimits/read": Method(
        usage.GetAccountRateLimitsParams,
        usage.GetAccountRateLimitsResponse,
        optional=True,
        besides=account.OfAccount,
    ),
    "account/rateLimitResetCredit/consume": Method(
        usage.ConsumeAccountRateLimitResetCreditParams, usage.ConsumeAccountRateLimitResetCreditResponse
    ),
    "account/usage/read": Method(
        usage.GetAccountTokenUsageParams,
        usage.GetAccountTokenUsageResponse,
        optional=True,
        besides=account.OfAccount,
    ),
    "account/workspaceMessages/read": Method(None, usage.GetWorkspaceMessagesResponse),
    "account/sendAddCreditsNudgeEmail": Method(
        usage.SendAddCreditsNudgeEmailParams, usage.SendAddCreditsNudgeEmailResponse
    ),
    "account/securitySetup/read": Method(None, usage.GetAccountSecuritySetupResponse),
    "accountSession/list": Method(
        sessions.AccountSessionsListParams,
        sessions.AccountSessionsResponse,
        experimental=(sessions.AccountSessionsListParams,),
    ),
    "accountSession/switch": Method(
        sessions.AccountSessionsSwitchParams,
        sessions.AccountSessionsSwitchResponse,
        in_turn=True,
        experimental=(sessions.AccountSessionsSwitchParams,),
    ),
}

TOKEN_METHODS: Final = frozenset({"initialize", "account/read", "getAuthStatus", "account/token/read"})
"""What a socket answers that is for handing out tokens alone: to a container, which may change nothing."""

TOKEN_NOTIFICATIONS: Final = frozenset({"account/updated", "account/token/changed"})
"""What is told there: that another token may be had. Whose login is under way is nothing to a container."""

NOTIFICATIONS: Final[dict[type[account.Wire], str]] = {
    account.AccountLoginCompleted: "account/login/completed",
    account.AccountLoginProgress: "account/login/progress",
    account.AccountUpdated: "account/updated",
    account.AccountTokenChanged: "account/token/changed",
    accounts.AccountsChanged: "accountd/accounts/changed",
}

EXTENSION_NOTIFICATIONS: Final[frozenset[type[account.Wire]]] = frozenset(
    {account.AccountLoginProgress, account.AccountTokenChanged, accounts.AccountsChanged}
)
"""Those of NOTIFICATIONS that are ours by their kind, and told only to clients that declare the extension."""


class ServerRequest(msgspec.Struct, Generic[ParamsT, ResultT], frozen=True):
    """What a client may be asked, and what it is to answer."""

    method: str
    params: type[ParamsT]
    result: type[ResultT]


REFRESH_TOKENS: Final = ServerRequest(
    "account/chatgptAuthTokens/refresh",
    account.ChatgptAuthTokensRefreshParams,
    account.ChatgptAuthTokensRefreshResponse,
)

SERVER_REQUESTS: Final = (REFRESH_TOKENS,)
"""All that clients are asked: those alone that supply tokens of their own."""

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
        text = explain_validation_error(error, bytes(params), METHODS[name].params)
        raise InvalidRequest(f"Invalid request: {text}") from None  # the cause may quote a key or token
    except UNDECODABLE:  # what the envelope's decoding had skipped
        raise InvalidRequest("Invalid request: params could not be read") from None


def parse_besides(name: str, params: msgspec.Raw | msgspec.UnsetType) -> Any:
    """Decode what a client of ours may say besides; None where it says nothing. Raises InvalidRequest."""
    wanted = METHODS[name].besides
    if wanted is None or isinstance(params, msgspec.UnsetType) or b'"account' not in bytes(params):
        return None
    try:
        return msgspec.json.decode(params, type=wanted)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"Invalid request: {explain_validation_error(error, bytes(params), wanted)}") from None
    except UNDECODABLE:
        raise InvalidRequest("Invalid request: params could not be read") from None


def experimental_reason(name: str, params: object) -> str | None:
    """Name what in a request needs `experimentalApi`, as Codex names it, or None if nothing does."""
    if type(params) not in METHODS[name].experimental:
        return None
    tag = type(params).__struct_config__.tag  # type: ignore[attr-defined]  # a Struct, by the line above
    return name if tag is None else f"{name}.{tag}"


def is_in_turn(name: str) -> bool:
    """Return True if later requests of a connection wait for this method, known or not, to be answered."""
    method = METHODS.get(name)
    return method is not None and method.in_turn
