"""The methods of the Codex agent: what a stock client may ask for, and this server is not there to answer.

Told by families, a name and all that is below it, rather than one by one: a newer release of Codex adds methods
to the families that there are, and whoever calls those is mistaken about the server all the same. What is in no
family, nobody knows, and is refused in Codex's own words.
"""

from __future__ import annotations

import re
from typing import Final

FAMILIES: Final = (
    "account/bedrock",
    "account/gatewayOAuth",
    "account/gcp",
    "app",
    "collaborationMode",
    "command",
    "config",
    "environment",
    "experimentalFeature",
    "externalAgentConfig",
    "feedback",
    "fs",
    "fuzzyFileSearch",
    "getConversationSummary",
    "gitDiffToRemote",
    "hooks",
    "marketplace",
    "mcpServer",
    "mcpServerStatus",
    "memory",
    "mock",
    "model",
    "modelProvider",
    "permissionProfile",
    "plugin",
    "process",
    "project",
    "remoteControl",
    "review",
    "rollout",
    "server",
    "skills",
    "thread",
    "threadSection",
    "turn",
    "userVerification",
    "windowsSandbox",
)
"""All of Codex 0.171 that `methods` does not answer. The few about accounts are about those of other clouds, and
about the agent's gateway."""

_MEMBER: Final = re.compile(rf"(?:{'|'.join(FAMILIES)})(?:/\w+)*", re.ASCII)


def is_of_the_agent(method: str) -> bool:
    """Return True if a method is the agent's, in this release of Codex or, by its family, in a later one."""
    return _MEMBER.fullmatch(method) is not None


def render_refusal(method: str) -> str:
    """Return what this server is and is not, and who has the method. One line, for `method` is the agent's."""
    return (
        f"accountd does not serve `{method}`: it owns account logins, and is not the Codex agent. "
        "Run `codex app-server` for it."
    )
