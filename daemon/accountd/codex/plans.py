"""The plans of the peer: what they are called in tokens, what clients are told, and whose organisations decide."""

from __future__ import annotations

from typing import Final, Literal, get_args

PlanType = Literal[
    "free",
    "go",
    "plus",
    "pro",
    "prolite",
    "promax",
    "team",
    "self_serve_business_prolite",
    "self_serve_business_usage_based",
    "business",
    "ent26",
    "enterprise_cbp_automation",
    "enterprise_cbp_usage_based",
    "enterprise",
    "edu",
    "edu_plus",
    "edu_pro",
    "sci",
    "sci_plus",
    "unknown",
]
"""The plans that a client may be told of."""

ELIGIBLE_PLANS: Final[frozenset[PlanType]] = frozenset(
    (
        "business",
        "ent26",
        "enterprise_cbp_automation",
        "enterprise_cbp_usage_based",
        "enterprise",
        "edu",
        "edu_plus",
        "edu_pro",
        "sci",
        "sci_plus",
    )
)
"""The plans whose organisations hand out requirements, tried one by one on Codex 0.169. `team` is none of them."""

_PLANS: dict[str | None, PlanType] = {plan: plan for plan in get_args(PlanType)}
_PLANS |= {"hc": "enterprise", "education": "edu"}


def parse_plan(claim: str | None) -> PlanType:
    """Name the plan as clients know it; a name that they could not know is `unknown`. Case counts, as in Codex."""
    return _PLANS.get(claim, "unknown")
