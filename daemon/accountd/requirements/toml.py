"""A whole requirements file, as TOML has it: the top level, and the sections whose names stay as they are.

A table of facts, like `requirements_sections`, and no decisions.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from accountd.config.settings import CredentialsStore, LoginMethod
from accountd.requirements.sections import (
    AbsolutePath,
    Application,
    ApprovalPolicy,
    AutoReview,
    BrowserUse,
    ComputerUse,
    Count,
    Feedback,
    Hooks,
    InAppBrowser,
    Models,
    Network,
    Permissions,
    Positive,
    RemoteSandbox,
    SandboxMode,
    Section,
    Text,
    Verbatim,
    WebSearch,
    Windows,
)


class Tls(Verbatim, frozen=True, rename="kebab"):
    """The certificates of an exporter."""

    ca_certificate: str | None = None
    client_certificate: str | None = None
    client_private_key: str | None = None


class Otlp(Verbatim, frozen=True):
    """Where an exporter sends to. Headers are told by name alone, for their values are keys."""

    endpoint: str
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    tls: Tls | None = None

    def render(self) -> dict[str, Any]:
        """Return it as it is on the wire."""
        return super().render() | {"headers": dict.fromkeys(self.headers, "[redacted]")}


class OtlpHttp(Otlp, frozen=True, kw_only=True):
    """The same over HTTP."""

    protocol: Literal["binary", "json"]


class OtlpExporter(Verbatim, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """An exporter of one of two kinds."""

    otlp_http: OtlpHttp | None = None
    otlp_grpc: Otlp | None = None

    def __post_init__(self) -> None:
        if (self.otlp_http is None) == (self.otlp_grpc is None):
            raise ValueError("an exporter is of one kind")

    def render(self) -> dict[str, Any]:
        """Return it as it is on the wire."""
        return {kind: value for kind, value in super().render().items() if value is not None}


Exporter = Literal["none", "statsig"] | OtlpExporter


class ToolResults(Verbatim, frozen=True):
    """`[otel.tool_result]`."""

    max_bytes: Count


class Otel(Verbatim, frozen=True):
    """`[otel]`. The helper is a program that is run for the headers; the machine alone may name one."""

    tool_result: ToolResults | None = None
    log_sse_deltas: bool | None = None
    log_user_prompt: bool | None = None
    log_agent_responses: bool | None = None
    log_guardian_assessments: bool | None = None
    environment: str | None = None
    exporter: Exporter | None = None
    trace_exporter: Exporter | None = None
    metrics_exporter: Exporter | None = None
    headers_helper: AbsolutePath | None = None
    headers_helper_refresh_interval_ms: Positive | None = None
    span_attributes: dict[str, str] | None = None
    tracestate: dict[str, dict[str, str]] | None = None


class ModelProvider(Verbatim, frozen=True):
    """A model provider, whole, as `config.toml` would have it."""

    name: Text
    base_url: str | None = None
    model_catalog_url: str | None = None
    env_key: str | None = None
    env_key_instructions: str | None = None
    experimental_bearer_token: str | None = None
    auth: dict[str, Any] | None = None
    gateway_oauth: dict[str, Any] | None = None
    aws: dict[str, Any] | None = None
    project_id: str | None = None
    location: str | None = None
    credential_file: str | None = None
    wire_api: Literal["responses"] = "responses"
    capabilities: Any = None
    query_params: dict[str, str] | None = None
    http_headers: dict[str, str] | None = None
    env_http_headers: dict[str, str] | None = None
    request_max_retries: Count | None = None
    stream_max_retries: Count | None = None
    stream_idle_timeout_ms: Count | None = None
    websocket_connect_timeout_ms: Count | None = None
    requires_openai_auth: bool = False
    supports_websockets: bool = False
    supports_standalone_web_search: bool = False


class Rules(Section, frozen=True):
    """`[rules]`."""

    prefix_rules: list[dict[str, Any]]


class RequirementsToml(Section, frozen=True):
    """The whole file. What has no place on the wire is here because it is a requirement all the same."""

    allowed_login_methods: list[LoginMethod] | None = None
    allowed_chatgpt_workspaces: list[str] | None = None
    chatgpt_base_url: str | None = None
    cli_auth_credentials_store: CredentialsStore | None = None
    model_provider: str | None = None
    model_providers: dict[str, ModelProvider] | None = None
    additional_developer_instructions: str | None = None
    allowed_approval_policies: list[ApprovalPolicy] | None = None
    allowed_approvals_reviewers: list[Literal["user", "auto_review", "guardian_subagent"]] | None = None
    allowed_sandbox_modes: list[SandboxMode] | None = None
    remote_sandbox_config: list[RemoteSandbox] | None = None
    windows: Windows | None = None
    allowed_permission_profiles: dict[str, bool] | None = None
    default_permissions: str | None = None
    allowed_web_search_modes: list[WebSearch] | None = None
    allow_managed_hooks_only: bool | None = None
    allow_browser_and_computer_use: bool | None = None
    allow_appshots: bool | None = None
    allow_remote_control: bool | None = None
    computer_use: ComputerUse | None = None
    browser_use: BrowserUse | None = None
    in_app_browser: InAppBrowser | None = None
    features: dict[str, bool] | None = None
    feature_requirements: dict[str, bool] | None = None
    hooks: Hooks | None = None
    enforce_residency: Literal["us"] | None = None
    experimental_network: Network | None = None
    network_proxy: Network | None = None
    permissions: Permissions | None = None
    application: Application | None = None
    auto_review: AutoReview | None = None
    models: Models | None = None
    sqlite_home: str | None = None
    log_dir: str | None = None
    model_catalog_json: str | None = None
    check_for_update_on_startup: bool | None = None
    allow_login_shell: bool | None = None
    feedback: Feedback | None = None
    otel: Otel | None = None
    rules: Rules | None = None
    mcp_servers: dict[str, dict[str, Any]] | None = None
    apps: dict[str, dict[str, Any]] | None = None
    marketplaces: dict[str, Any] | None = None
    guardian_policy_config: str | None = None
    guardian_extra_policy: str | None = None

    def __post_init__(self) -> None:
        if len(self._networks()) > 1:
            raise ValueError("specify managed network requirements through exactly one surface")

    def _networks(self) -> list[Network]:
        shared = self.permissions.network if self.permissions is not None else None
        named = (self.experimental_network, self.network_proxy, shared)
        return [network for network in named if network is not None]

    @property
    def network(self) -> Network | None:
        """The one network section, whatever its name."""
        return next(iter(self._networks()), None)

    @property
    def features_required(self) -> dict[str, bool] | None:
        """The features, under either of their two names."""
        return {**(self.feature_requirements or {}), **(self.features or {})} or None
