"""Messages that carry what opens an account do not show it by accident."""

from __future__ import annotations

import pytest

from accountd.protocol import account

CANARY = "canary-5f0c"


@pytest.mark.parametrize(
    "message",
    [
        account.ApiKeyLogin(CANARY),
        account.ExternalTokensLogin(CANARY, "account-1"),
        account.ChatgptAuthTokensRefreshResponse(CANARY, "account-1"),
        account.SubmitCallbackParams("id", f"http://127.0.0.1:1455/auth/callback?code={CANARY}"),
        account.GetAuthStatusResponse("chatgpt", CANARY),
        account.ReadTokenResponse("chatgpt", CANARY, 1.5, "account-1", "plus"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_secret_is_in_no_repr(message: account.Wire) -> None:
    """Tokens, keys and codes are dots wherever a message is printed; the other members are as ever."""
    assert CANARY not in repr(message)
    assert CANARY not in f"{message}"
    assert "••••" in repr(message)


def test_other_members_are_shown() -> None:
    """A repr has the names and values of a message; a secret that is not there is shown as that."""
    assert repr(account.GetAuthStatusResponse("apikey")) == (
        "GetAuthStatusResponse(auth_method='apikey', auth_token=None, requires_openai_auth=True)"
    )
