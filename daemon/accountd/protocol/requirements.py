"""The messages about what an organisation requires: how they are made of its layers is in `requirements`."""

from __future__ import annotations

from typing import Any, Literal

from accountd.config.settings import CredentialsStore, LoginMethod
from accountd.protocol.account import Wire


class ConfigRequirements(Wire, frozen=True, kw_only=True):
    """What is required, as clients are told. Null is what nobody requires; sections are as in Codex's schema."""

    model_provider: str | None
    model_providers: dict[str, Any] | None
    allowed_login_methods: tuple[LoginMethod, ...]
    cli_auth_credentials_store: CredentialsStore | None
    chatgpt_base_url: str | None
    additional_developer_instructions: str | None
    allowed_approval_policies: list[Any] | None
    allowed_approvals_reviewers: list[str] | None
    allowed_sandbox_modes: list[str] | None
    allowed_windows_sandbox_implementations: list[str] | None
    allowed_permission_profiles: dict[str, bool] | None
    default_permissions: str | None
    allowed_web_search_modes: list[str] | None
    allow_managed_hooks_only: bool | None
    allow_browser_and_computer_use: bool | None
    allow_appshots: bool | None
    allow_remote_control: bool | None
    computer_use: dict[str, Any] | None
    browser_use: dict[str, Any] | None
    in_app_browser: dict[str, Any] | None
    feature_requirements: dict[str, bool] | None
    hooks: dict[str, Any] | None
    enforce_residency: Literal["us"] | None
    network: dict[str, Any] | None
    application: dict[str, Any] | None
    auto_review: dict[str, Any] | None
    models: dict[str, Any] | None
    sqlite_home: str | None
    log_dir: str | None
    model_catalog_json: str | None
    check_for_update_on_startup: bool | None
    allow_login_shell: bool | None
    feedback: dict[str, Any] | None
    otel: dict[str, Any] | None


class ConfigRequirementsReadResponse(Wire, frozen=True):
    """`configRequirements/read`: null if nobody requires anything."""

    supports_independent_speed_modes: bool = True
    requirements: ConfigRequirements | None = None
