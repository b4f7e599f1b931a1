"""The account messages: one frozen Struct for each params, result and notification, and the account itself.

The names are those of the peer's published schema. Fields are camelCase on the
wire. Unknown fields are ignored; the methods and fields behind `experimentalApi` say so in `methods`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from accountd.codex.plans import PlanType
from accountd.protocol.reasons import OF_THE_EXTENSION, ErrorReason

AuthMode = Literal["apikey", "chatgpt", "chatgptAuthTokens"]
Entrypoint = Literal["life_sciences"]
AppBrand = Literal["codex", "chatgpt"]
RoutingOverride = Literal["NO_CONSTRAINT", "us", "us_cr"]


_SECRET: Final = msgspec.Meta(extra_json_schema={"format": "password"})

SecretText = Annotated[str, _SECRET]
"""Text that opens an account. It is on the wire as it is, and in no `repr`."""


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """The base of every message body."""

    def __repr__(self) -> str:
        fields = ((field.name, field.type) for field in msgspec.structs.fields(self))
        shown = (f"{name}={_describe(getattr(self, name), of)}" for name, of in fields)
        return f"{type(self).__name__}({', '.join(shown)})"


def _describe(value: object, of: Any) -> str:
    is_secret = SecretText in (of, *get_args(of))
    return "••••" if is_secret and value is not None else repr(value)


# initialize


class ClientInfo(Wire, frozen=True):
    """Who a client says it is; `name` goes into the user agent and is the OAuth originator."""

    name: str
    version: str
    title: str | None = None


class AccountdExtension(Wire, frozen=True):
    """What a client asks of the accountd extension. It may name the account that its connection means."""

    account: str | None = None


class Extensions(Wire, frozen=True):
    """The `extensions` of a client's capabilities that this server knows: an object declares one."""

    accountd: AccountdExtension | None = None


class Capabilities(Wire, frozen=True):
    """What a client asks of its connection. Those that concern the agent, not accounts, are ignored."""

    experimental_api: bool = False
    opt_out_notification_methods: tuple[str, ...] | None = None
    extensions: Extensions | None = None


class InitializeParams(Wire, frozen=True):
    """`initialize`."""

    client_info: ClientInfo
    capabilities: Capabilities | None = None


class InitializeResponse(Wire, frozen=True):
    """`initialize`: who answers. `codex_home` is absolute."""

    user_agent: str
    codex_home: str
    platform_family: str
    platform_os: str


# What a client of ours may say besides: whose, and how


class OfAccount(Wire, frozen=True):
    """Which account a request is about, by any of its names, whatever the connection means."""

    account: Annotated[str | None, OF_THE_EXTENSION] = None


class LoginWishes(Wire, frozen=True):
    """What becomes of a login: whether it is the active account from then on, and what it is called.

    With `account`, it has to be that one again.
    """

    activate: bool = True
    alias: str | None = None
    account: str | None = None


class OfLogin(Wire, frozen=True):
    """What becomes of a login, if that is not what becomes of every other."""

    accountd: Annotated[LoginWishes | None, OF_THE_EXTENSION] = None


# account/login/start


class ApiKeyLogin(Wire, frozen=True, tag_field="type", tag="apiKey"):
    """Log in with an API key; done at once, and the key is not tried."""

    api_key: SecretText


class BrowserLogin(Wire, frozen=True, tag_field="type", tag="chatgpt"):
    """Log in with a browser on this machine."""

    codex_streamlined_login: bool = False
    use_hosted_login_success_page: bool = False
    app_brand: AppBrand | None = None


class DeviceCodeLogin(Wire, frozen=True, tag_field="type", tag="chatgptDeviceCode"):
    """Log in with a code that is typed into a browser on any machine."""


class ExternalTokensLogin(Wire, frozen=True, tag_field="type", tag="chatgptAuthTokens"):
    """Log in with tokens that the client got, and refreshes, by itself."""

    access_token: SecretText
    chatgpt_account_id: str
    chatgpt_plan_type: str | None = None


LoginAccountParams = ApiKeyLogin | BrowserLogin | DeviceCodeLogin | ExternalTokensLogin


class ApiKeyLoginDone(Wire, frozen=True, tag_field="type", tag="apiKey"):
    """The key is stored."""


class ExternalTokensLoginDone(Wire, frozen=True, tag_field="type", tag="chatgptAuthTokens"):
    """The tokens are in use."""


class BrowserLoginStarted(Wire, frozen=True, tag_field="type", tag="chatgpt"):
    """What the person needs: the address to open, in a browser on this machine."""

    login_id: str
    auth_url: str


class DeviceCodeLoginStarted(Wire, frozen=True, tag_field="type", tag="chatgptDeviceCode"):
    """What the person needs: where to go, and what to type there."""

    login_id: str
    verification_url: str
    user_code: str


LoginStarted = BrowserLoginStarted | DeviceCodeLoginStarted
"""The answer to the start of a login that a person approves."""

LoginAccountResponse = ApiKeyLoginDone | BrowserLoginStarted | DeviceCodeLoginStarted | ExternalTokensLoginDone


# account/chatgptAuthTokens/refresh: asked of the client that supplied the tokens


class ChatgptAuthTokensRefreshParams(Wire, frozen=True):
    """The backend has refused the tokens."""

    previous_account_id: str | None
    reason: Literal["unauthorized"] = "unauthorized"


class ChatgptAuthTokensRefreshResponse(Wire, frozen=True):
    """Other tokens, in the place of those."""

    access_token: SecretText
    chatgpt_account_id: str
    chatgpt_plan_type: str | None = None


# account/login/cancel


class CancelLoginAccountParams(Wire, frozen=True):
    """`account/login/cancel`."""

    login_id: str


class CancelLoginAccountResponse(Wire, frozen=True):
    """`canceled` promises that nothing was stored and nothing will be."""

    status: Literal["canceled", "notFound"]


# account/login/submitCallback


class SubmitCallbackParams(Wire, frozen=True):
    """`account/login/submitCallback`: the address at which a browser ended that could not reach this machine."""

    login_id: str
    callback_url: SecretText


class SubmitCallbackResponse(Wire, frozen=True):
    """`account/login/submitCallback`: taken; how the login ends is a notification."""


# account/login/progress, account/login/list: ours


class AccountLoginProgress(Wire, frozen=True):
    """`account/login/progress`: where a login is that a person approves. Times are Unix seconds.

    `retries` counts the requests in a row that told nothing of the person, and `retry_cause` says why the last one
    did not: the issuer was not reached, or is in trouble. They are repeated until the login expires.
    """

    login_id: str
    type: Literal["chatgpt", "chatgptDeviceCode"]
    state: Literal["waiting", "exchanging", "committing"]
    started_at: float
    expires_at: float
    retries: int = 0
    retry_cause: str | None = None


class LoginUnderWay(Wire, frozen=True):
    """A login as a client can follow it that has not begun it: `started` is what its start was answered."""

    progress: AccountLoginProgress
    started: LoginStarted


class ListLoginsResponse(Wire, frozen=True):
    """`account/login/list`: the logins that a cancel would find; there is one at most, the newest."""

    logins: tuple[LoginUnderWay, ...]


# account/logout, account/forget


class LogoutAccountResponse(Wire, frozen=True):
    """`account/logout` and `account/forget`: nobody is logged in."""


# account/read, getAuthStatus


class GetAccountParams(Wire, frozen=True):
    """`account/read`."""

    refresh_token: bool = False


class ApiKeyAccount(Wire, frozen=True, tag_field="type", tag="apiKey"):
    """Logged in with an API key; there is nothing to know about its owner."""


class ChatgptAccount(Wire, frozen=True, tag_field="type", tag="chatgpt"):
    """Logged in with ChatGPT, by whichever flow."""

    email: str | None
    plan_type: PlanType
    workspace_name: str | None


Account = ApiKeyAccount | ChatgptAccount


class WorkspaceRouting(Wire, frozen=True):
    """Where the backend of the account's workspace is. `backend_origin` is a URL without a path."""

    chatgpt_account_id: str
    backend_origin: str
    account_routing_override: RoutingOverride


class GetAccountResponse(Wire, frozen=True):
    """`account/read`: who is logged in, or null."""

    account: Account | None
    user_id: str | None = None
    requires_openai_auth: bool = True
    workspace_routing: WorkspaceRouting | None = None


class GetAuthStatusParams(Wire, frozen=True):
    """`getAuthStatus`."""

    include_token: bool | None = None
    refresh_token: bool | None = None


class GetAuthStatusResponse(Wire, frozen=True):
    """`getAuthStatus`: the token is an access token or API key, for those who asked; never a refresh token."""

    auth_method: AuthMode | None = None
    auth_token: SecretText | None = None
    requires_openai_auth: bool = True


# account/token/read: ours


class ReadTokenParams(Wire, frozen=True):
    """`account/token/read`: a token that is good for at least so many seconds from now."""

    min_valid_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 300


class ReadTokenResponse(Wire, frozen=True):
    """What to send as a bearer. `expires_at` is Unix seconds; null for an API key, or a token that does not say.

    `chatgpt_account_id` and the plan are those of a ChatGPT login; `account_id` is the account's own, as in
    `accountd/accounts/list`, and null to a client that cannot call that.
    """

    auth_mode: AuthMode
    token: SecretText
    expires_at: float | None
    chatgpt_account_id: str | None
    plan_type: PlanType | None
    account_id: str | None = None


# account/store/read: ours


class ReadStoreResponse(Wire, frozen=True):
    """Where the credential is, or would be. `note` is for the person."""

    kind: Literal["file", "keyring", "memory"]
    location: str
    note: str | None


# notifications


class AccountLoginCompleted(Wire, frozen=True):
    """`account/login/completed`: exactly one for every login; `login_id` is null for one that was done at once.

    `accountd` says why one failed, to clients that declare the accountd extension.
    """

    login_id: str | None
    success: bool
    error: str | None = None
    onboarding_entrypoint: Entrypoint | None = None
    accountd: Annotated[ErrorReason, OF_THE_EXTENSION] | msgspec.UnsetType = msgspec.UNSET

    def as_stock(self) -> AccountLoginCompleted:
        """Return what clients are sent that do not declare the extension."""
        return msgspec.structs.replace(self, accountd=msgspec.UNSET)


class AccountUpdated(Wire, frozen=True):
    """`account/updated`: the account is another one, or none, from here on.

    With a `reason` it is the same as ever, and told to one connection that has just come.
    """

    auth_mode: AuthMode | None
    plan_type: PlanType | None
    reason: Literal["workspaceRoutingReady"] | None = None


class AccountTokenChanged(Wire, frozen=True):
    """`account/token/changed`: ours. There is another token for the same account; `account/token/read` gives it."""
