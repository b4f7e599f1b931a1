"""What clients are told of the requirements, in Codex's names for old values and with what is always allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from accountd.protocol.requirements import ConfigRequirements, ConfigRequirementsReadResponse
from accountd.requirements.sections import is_unset, render_value
from accountd.requirements.toml import RequirementsToml

if TYPE_CHECKING:
    from accountd.config.settings import LoginMethod


def render_response(values: RequirementsToml, methods: tuple[LoginMethod, ...]) -> ConfigRequirementsReadResponse:
    """Render merged requirements, and the login methods that all policies together leave."""
    if is_unset(values) and len(methods) > 1:
        return ConfigRequirementsReadResponse()
    return ConfigRequirementsReadResponse(requirements=_render(values, methods))


_SAME_NAME: Final = frozenset(ConfigRequirements.__struct_fields__) & frozenset(RequirementsToml.__struct_fields__)


def _render(values: RequirementsToml, methods: tuple[LoginMethod, ...]) -> ConfigRequirements:
    set_ones = {name: getattr(values, name) for name in _SAME_NAME}
    rendered = {name: None if is_unset(value) else render_value(value) for name, value in set_ones.items()}
    windows, network = values.windows, values.network
    return ConfigRequirements(
        **rendered
        | {
            "allowed_login_methods": methods,
            "allowed_approval_policies": _rename(rendered["allowed_approval_policies"], "on-failure", "on-request"),
            "allowed_approvals_reviewers": _rename(
                rendered["allowed_approvals_reviewers"], "guardian_subagent", "auto_review"
            ),
            "allowed_sandbox_modes": _rename(rendered["allowed_sandbox_modes"], "external-sandbox", None),
            "allowed_web_search_modes": _with_disabled(rendered["allowed_web_search_modes"]),
            "allowed_windows_sandbox_implementations": windows.allowed_sandbox_implementations if windows else None,
            "feature_requirements": values.features_required,
            "network": network.render() if network else None,
        },
    )


def _rename(names: list[Any] | None, old: str, new: str | None) -> list[Any] | None:
    if names is None:
        return None
    return [new if name == old else name for name in names if name != old or new is not None]


def _with_disabled(modes: list[Any] | None) -> list[Any] | None:
    """Add `disabled`, for searching may always be turned off."""
    return modes if modes is None or "disabled" in modes else [*modes, "disabled"]
