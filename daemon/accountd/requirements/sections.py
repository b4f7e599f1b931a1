"""The sections of a requirements file, as TOML has them, and as they are on the wire.

A table of facts: names and types as the peer's schema and the running peer have them, and no decisions. Fields
are named for the wire, in snake_case; where TOML has another name, the field says so.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Access = Literal["allow", "deny"]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
AbsolutePath = Annotated[str, msgspec.Meta(pattern="^/")]
HostPattern = Annotated[str, msgspec.Meta(max_length=253)]  # as a name in the DNS (RFC 1035 section 2.3.4)
WebSearch = Literal["disabled", "cached", "indexed", "live"]
WindowsSandbox = Literal["elevated", "unelevated", "mxc"]
SandboxMode = Literal["read-only", "workspace-write", "danger-full-access", "external-sandbox"]


class Section(msgspec.Struct, frozen=True):
    """A table. On the wire its names are in camelCase, and what is not set is null."""

    def is_unset(self) -> bool:
        """Return True if nothing is set in it."""
        return all(is_unset(getattr(self, name)) for name in self.__struct_fields__)

    def render(self) -> dict[str, Any]:
        """Return it as it is on the wire."""
        tag = self.__struct_config__.tag
        fields = {_camel(name): render_value(getattr(self, name)) for name in self.__struct_fields__}
        return {"type": tag, **fields} if tag else fields


class Verbatim(Section, frozen=True):
    """A table whose names are the same on the wire."""

    def render(self) -> dict[str, Any]:
        """Return it as it is on the wire."""
        names = zip(self.__struct_encode_fields__, self.__struct_fields__, strict=True)
        return {encoded: render_value(getattr(self, name)) for encoded, name in names}


def is_unset(value: object) -> bool:
    """Return True if a value sets nothing. An empty list of what is allowed does: it allows nothing."""
    if isinstance(value, Section):
        return value.is_unset()
    return value is None or value in ({}, ())


def render_value(value: Any) -> Any:
    """Return a value as it is on the wire."""
    match value:
        case Section():
            return value.render()
        case dict():
            return {name: render_value(each) for name, each in value.items()}
        case list() | tuple():
            return [render_value(each) for each in value]
        case _:
            return value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


class Granular(Verbatim, frozen=True, kw_only=True):
    """The switches of a granular approval policy."""

    sandbox_approval: bool
    rules: bool
    skill_approval: bool = False
    request_permissions: bool = False
    mcp_elicitations: bool


class GranularApproval(Verbatim, frozen=True):
    """An approval policy by the kind of what is to be approved."""

    granular: Granular


ApprovalPolicy = Literal["untrusted", "on-failure", "on-request", "never"] | GranularApproval


class RemoteSandbox(Section, frozen=True):
    """Sandbox modes for some hosts; patterns are globs."""

    hostname_patterns: list[HostPattern]
    allowed_sandbox_modes: list[SandboxMode]


class Windows(Section, frozen=True):
    """`[windows]`."""

    allowed_sandbox_implementations: list[WindowsSandbox] | None = None


class Executable(Section, frozen=True, kw_only=True):
    """A program on Windows."""

    publisher_name: str
    product_name: str
    binary_name: str | None = None
    access: Access


class MacosApps(Section, frozen=True):
    """`[computer_use.macos]`."""

    bundle_ids: dict[str, Access] | None = None


class WindowsApps(Section, frozen=True):
    """`[computer_use.windows]`."""

    aumids: dict[str, Access] | None = None
    exes: list[Executable] | None = None


class ComputerUse(Section, frozen=True):
    """`[computer_use]`."""

    allow_locked_computer_use: bool | None = None
    allow_persistent_approval: bool | None = None
    default_app_access: Access | None = None
    macos: MacosApps | None = None
    windows: WindowsApps | None = None


class OriginPolicy(Section, frozen=True):
    """What a web origin may."""

    access: Access | None = None
    downloads: Access | None = None
    uploads: Access | None = None
    full_cdp_access: Access | None = None
    auto_review: Access | None = None
    persistent_approval: bool | None = None
    access_approval_lifetime: Literal["turn", "thread"] | None = None


class Header(Section, frozen=True):
    """A header of a request."""

    name: str
    value: str


class BrowserExtension(Section, frozen=True):
    """`[browser_use.extension]`."""

    request_headers: list[Header] | None = None


class BrowserUse(Section, frozen=True):
    """`[browser_use]`."""

    extension: BrowserExtension | None = None
    allow_webmcp: bool | None = None
    allow_history_access: bool | None = None
    disable_auto_review: bool | None = None
    allow_global_persistent_approval: bool | None = None
    default_origin_policy: OriginPolicy | None = None
    origins: dict[str, OriginPolicy] | None = None


class InAppBrowser(Section, frozen=True):
    """`[in_app_browser]`."""

    allow_external_browser_settings_import: bool | None = None


class CommandHook(Section, frozen=True, tag_field="type", tag="command"):
    """A hook that runs a command."""

    command: str
    command_windows: str | None = msgspec.field(default=None, name="commandWindows")
    timeout_sec: Count | None = msgspec.field(default=None, name="timeout")
    async_: bool = msgspec.field(default=False, name="async")
    status_message: str | None = msgspec.field(default=None, name="statusMessage")
    additional_context_limit: Count | None = msgspec.field(default=None, name="additionalContextLimit")


class ToolHook(Section, frozen=True, tag_field="type", tag="mcp_tool"):
    """A hook that calls a tool of an MCP server."""

    server: str
    tool: str
    input: dict[str, Any] = {}
    timeout_sec: Count | None = msgspec.field(default=None, name="timeout")
    status_message: str | None = msgspec.field(default=None, name="statusMessage")


class PromptHook(Section, frozen=True, tag_field="type", tag="prompt"):
    """A hook that asks a model; what it asks is not told."""


class AgentHook(Section, frozen=True, tag_field="type", tag="agent"):
    """A hook that asks an agent; what it asks is not told."""


class HookGroup(Section, frozen=True):
    """Hooks that run when `matcher` fits."""

    matcher: str | None = None
    hooks: list[CommandHook | ToolHook | PromptHook | AgentHook] = []


class Hooks(Section, frozen=True):
    """`[hooks]`: the events are named as in TOML, and an event without hooks is an empty list."""

    PreModelRequest: tuple[HookGroup, ...] = ()
    PostModelRequest: tuple[HookGroup, ...] = ()
    managed_dir: str | None = None
    windows_managed_dir: str | None = None
    PreToolUse: tuple[HookGroup, ...] = ()
    PermissionRequest: tuple[HookGroup, ...] = ()
    PostToolUse: tuple[HookGroup, ...] = ()
    PreCompact: tuple[HookGroup, ...] = ()
    PostCompact: tuple[HookGroup, ...] = ()
    SessionStart: tuple[HookGroup, ...] = ()
    SessionEnd: tuple[HookGroup, ...] = ()
    UserPromptSubmit: tuple[HookGroup, ...] = ()
    SubagentStart: tuple[HookGroup, ...] = ()
    SubagentStop: tuple[HookGroup, ...] = ()
    Stop: tuple[HookGroup, ...] = ()
    Interrupt: tuple[HookGroup, ...] = ()


class Network(Section, frozen=True):
    """The network of agents, under one of three names. The lists are an older way to say `domains`."""

    enabled: bool | None = None
    http_port: Port | None = None
    socks_port: Port | None = None
    allow_upstream_proxy: bool | None = None
    dangerously_allow_non_loopback_proxy: bool | None = None
    dangerously_allow_all_unix_sockets: bool | None = None
    domains: dict[str, Access] | None = None
    review_domains: list[str] | None = None
    managed_allowed_domains_only: bool | None = None
    allowed_domains: list[str] | None = None
    denied_domains: list[str] | None = None
    unix_sockets: dict[str, Access] | None = None
    allow_unix_sockets: list[str] | None = None
    allow_local_binding: bool | None = None

    def is_unset(self) -> bool:
        """Say no: naming the section is enough, as with the peer."""
        return False

    def render(self) -> dict[str, Any]:
        """Return it as it is on the wire: with both ways to say what is allowed, whichever was used."""
        domains: dict[str, Access] = dict.fromkeys(self.allowed_domains or (), "allow")
        domains |= dict.fromkeys(self.denied_domains or (), "deny")
        domains |= self.domains or {}
        sockets: dict[str, Access] = dict.fromkeys(self.allow_unix_sockets or (), "allow")
        sockets |= self.unix_sockets or {}
        return super().render() | {
            "domains": domains or None,
            "allowedDomains": sorted(name for name in domains if domains[name] == "allow") or None,
            "deniedDomains": sorted(name for name in domains if domains[name] == "deny") or None,
            "unixSockets": sockets or None,
            "allowUnixSockets": sorted(path for path in sockets if sockets[path] == "allow") or None,
        }


class Permissions(Section, frozen=True):
    """`[permissions]`, of which the profiles are for agents alone."""

    network: Network | None = None


class ApplicationNetwork(Section, frozen=True):
    """`[application.network]`."""

    enabled: bool
    domains: dict[str, Access] = {}


class ApplicationStorage(Section, frozen=True):
    """`[application.storage]`."""

    default_project_parent: AbsolutePath | None = None
    projectless_workspace_root: AbsolutePath | None = None


class Application(Section, frozen=True):
    """`[application]`."""

    network: ApplicationNetwork | None = None
    storage: ApplicationStorage | None = None


class AutoReview(Section, frozen=True):
    """`[auto_review]`."""

    required_on_models: list[str] | None = None
    ignore_rules: list[str] | None = None


class NewThread(Section, frozen=True):
    """`[models.new_thread]`."""

    model: str | None = None
    model_reasoning_effort: Text | None = None
    service_tier: str | None = None


class Models(Section, frozen=True):
    """`[models]`."""

    new_thread: NewThread | None = None


class Feedback(Section, frozen=True):
    """`[feedback]`."""

    enabled: bool | None = None
