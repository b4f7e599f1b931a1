"""Which logins the configuration lets through, and the words for the others."""

from __future__ import annotations

import pytest

from accountd.errors import InvalidRequest, LoginFailed
from accountd.policy import Policy


def test_without_a_policy_everything_is_permitted() -> None:
    """No forced method and no named workspaces: any login, of any workspace, or of none."""
    policy = Policy()
    assert policy.permits("chatgpt")
    assert policy.permits("api")
    policy.check_method("chatgpt")
    policy.check_method("api")
    policy.check_workspace("any")
    policy.check_workspace(None)


def test_a_forced_method_forbids_the_other() -> None:
    """The other method is refused in the real server's words."""
    chatgpt, api = Policy(method="chatgpt"), Policy(method="api")
    chatgpt.check_method("chatgpt")
    api.check_method("api")
    assert (chatgpt.permits("api"), api.permits("chatgpt")) == (False, False)
    with pytest.raises(InvalidRequest, match=r"^API key login is disabled\. Use ChatGPT login instead\.$"):
        chatgpt.check_method("api")
    with pytest.raises(InvalidRequest, match=r"^ChatGPT login is disabled\. Use API key login instead\.$"):
        api.check_method("chatgpt")


def test_tokens_of_another_workspace_are_refused() -> None:
    """The text names the workspaces that would do, as the real server's does, and not the one that came."""
    policy = Policy(workspaces=("acct-other", "b"))
    policy.check_workspace("b")
    with pytest.raises(LoginFailed, match=r"^Login is restricted to workspace id\(s\) acct-other, b\.$"):
        policy.check_workspace("acct-123")


def test_tokens_of_no_workspace_are_refused_where_some_are_named() -> None:
    """A token that does not say whose it is cannot be checked, so it does not pass."""
    with pytest.raises(LoginFailed, match=r"the token did not include an chatgpt_account_id claim\.$"):
        Policy(workspaces=("a",)).check_workspace(None)
    with pytest.raises(LoginFailed, match=r"^Login is restricted to workspace id\(s\) a\.$"):
        Policy(workspaces=("a",)).check_workspace("")
