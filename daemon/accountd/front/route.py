"""Which side has a message: the daemon, which has the accounts, or the agent, which has everything else.

Whatever is no method of accounts is the agent's, known or not, so that a newer Codex works as it is.
"""

from __future__ import annotations

from typing import Final

from accountd.protocol.methods import METHODS

_AGENTS_OWN: Final = frozenset({"configRequirements/read"})
"""What the daemon answers too, and the agent better: it has read all of the configuration."""

_ACCOUNT_METHODS: Final = frozenset(METHODS) - _AGENTS_OWN

KNOWN_TO_AGENT: Final = frozenset(
    {
        "account/rateLimits/read",
        "account/rateLimitResetCredit/consume",
        "account/usage/read",
        "account/workspaceMessages/read",
        "account/sendAddCreditsNudgeEmail",
    }
)
"""What of accounts the agent can ask the backend for by itself, where no daemon is to be asked."""

_ACCOUNT_FAMILIES: Final = ("accountSession/", "accountd/")

MOVES_ACCOUNT: Final = frozenset(
    {"account/login/start", "account/logout", "account/forget", "accountSession/switch"}
)
"""What may change who is logged in by the time that it is answered; the answer waits until the agent knows."""

TELLS_ACCOUNT: Final = frozenset({"account/updated", "account/login/completed"})
"""What the daemon says when it has changed, which waits likewise; and what the agent says of tokens that it was
given, which is for nobody."""

ASKS_TOKENS: Final = "account/chatgptAuthTokens/refresh"
"""What the agent asks of all its clients when a token was refused. The feed answers; the first answer counts, and
another client's would be an error."""

_READS: Final = ("/read", "/list", "getAuthStatus")

NEEDS_LOGIN: Final = frozenset({"turn/start", "turn/steer", "review/start", "thread/compact/start"})
"""What sends a prompt to the model, which is pointless with a login that is dead."""

INITIALIZED: Final = b'{"method":"initialized"}'
"""What a client says when it has been answered its `initialize`."""

OURS: Final = "accountd-front-"
"""How the ids of our own requests begin, which no client would use."""

DAEMONS_ID: Final = "accountd-"
"""How the ids of the daemon's own requests to a client begin. The agent's are whole numbers."""


def is_of_accounts(method: str) -> bool:
    """Return True if the daemon has the method."""
    return method in _ACCOUNT_METHODS or method.startswith(_ACCOUNT_FAMILIES)


def is_read(method: str) -> bool:
    """Return True for what a daemon may be asked again, since asking changes nothing."""
    return method.endswith(_READS)


def is_for_nobody(method: str) -> bool:
    """Return True for what the agent says or asks of accounts, which clients hear from the daemon alone."""
    return method == ASKS_TOKENS or method in TELLS_ACCOUNT
