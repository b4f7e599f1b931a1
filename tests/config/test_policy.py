"""Which logins the configuration lets through, and the words for the others."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.config.policy import Policy
from accountd.config.settings import LoginMethod
from accountd.errors import ConfigError, InvalidRequest, LoginFailed, WorkspaceForbidden

METHODS: tuple[LoginMethod, ...] = ("api", "chatgpt")
API, CHATGPT = METHODS[:1], METHODS[1:]


class Given(NamedTuple):
    """An access token as the policy sees it: the account id beside it, and the workspace that it names itself."""

    account_id: str | None
    claimed_account_id: str | None = None


def test_without_a_policy_everything_is_permitted() -> None:
    """No forced method and no named workspaces: any login, of any workspace, or of none."""
    policy = Policy()
    assert policy.permits("chatgpt")
    assert policy.permits("api")
    policy.check_method("chatgpt")
    policy.check_method("api")
    for named in (Given("any"), Given("any", "any"), Given(None, "any"), Given(None), None):
        policy.check_workspace(named)


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
    policy.check_workspace(Given("b"))
    with pytest.raises(LoginFailed, match=r"^Login is restricted to workspace id\(s\) acct-other, b\.$"):
        policy.check_workspace(Given("acct-123"))


def test_tokens_of_no_workspace_are_refused_where_some_are_named() -> None:
    """A token that does not say whose it is cannot be checked, so it does not pass."""
    with pytest.raises(LoginFailed, match=r"the token did not include an chatgpt_account_id claim\.$"):
        Policy(workspaces=("a",)).check_workspace(Given(None))
    with pytest.raises(LoginFailed, match=r"^Login is restricted to workspace id\(s\) a\.$"):
        Policy(workspaces=("a",)).check_workspace(Given(""))


@pytest.mark.parametrize(
    ("workspaces", "named", "words"),
    [
        (("a",), Given("a", "a"), None),
        (("a",), Given("a", None), None),  # of an opaque token the id counts alone
        (("a",), Given("a", "b"), r"restricted to workspace id\(s\) a\.$"),
        (("a",), Given("b", "a"), r"restricted to workspace id\(s\) a\.$"),
        (("a",), Given(None, "a"), "did not include"),
        (("a",), Given(None, "b"), "did not include"),
        (("a", "b"), Given("a", "b"), "for another workspace than the account id beside it"),
        ((), Given("a", "a"), None),
        ((), Given(None, "a"), None),
        ((), Given("a", "b"), "for another workspace than the account id beside it"),
        ((), Given("", "b"), "for another workspace than the account id beside it"),
    ],
)
def test_both_words_for_a_token_have_to_be_permitted_and_to_agree(
    workspaces: tuple[str, ...], named: Given, words: str | None
) -> None:
    """The account id that goes with it, and the token's own claim."""
    policy = Policy(workspaces=workspaces)
    assert policy.permits_workspace(named) == (words is None)
    if words is None:
        policy.check_workspace(named)
    else:
        with pytest.raises(WorkspaceForbidden, match=words):
            policy.check_workspace(named)


def test_a_managed_policy_and_the_persons_own_both_count() -> None:
    """What either forbids is forbidden; what neither names is permitted."""
    assert Policy().restrict() == Policy()
    assert Policy().restrict(methods=("chatgpt", "api")).methods == ("api", "chatgpt")
    assert Policy().restrict(methods=API).methods == ("api",)
    assert Policy(method="chatgpt").restrict(methods=("api", "chatgpt")).methods == ("chatgpt",)
    own = Policy(workspaces=("acct-123", "z"))
    assert own.restrict(workspaces=("acct-9", "acct-123")) == Policy(workspaces=("acct-123",))
    assert own.restrict(methods=CHATGPT) == Policy(method="chatgpt", workspaces=("acct-123", "z"))


def test_managed_workspaces_are_trimmed() -> None:
    """Blanks around a name are no part of it, and a blank name is none, as in the real server."""
    policy = Policy().restrict(workspaces=(" acct-123 ", "", "x"))
    assert policy.workspaces == ("acct-123", "x")
    with pytest.raises(LoginFailed, match=r"^Login is restricted to workspace id\(s\) acct-123, x\.$"):
        policy.check_workspace(Given("acct-9"))


@pytest.mark.parametrize(
    ("own", "managed"), [(Policy(), ()), (Policy(workspaces=("a",)), ("b",)), (Policy(), (" ",))]
)
def test_without_a_workspace_left_chatgpt_is_disabled(own: Policy, managed: tuple[str, ...]) -> None:
    """An empty list, or two that have nothing in common, leave API keys alone."""
    policy = own.restrict(workspaces=managed)
    assert policy.methods == ("api",)
    with pytest.raises(InvalidRequest, match=r"^ChatGPT login is disabled\."):
        policy.check_method("chatgpt")


def test_a_policy_that_permits_nothing_is_refused() -> None:
    """Where no method is left the daemon does not start, and says so in the real server's words."""
    text = r"^authentication requirements do not permit any usable login method$"
    with pytest.raises(ConfigError, match=text):
        Policy().restrict(methods=())
    with pytest.raises(ConfigError, match=text):
        Policy(method="api").restrict(methods=CHATGPT)
    with pytest.raises(ConfigError, match=text):
        Policy(workspaces=("a",)).restrict(methods=CHATGPT, workspaces=("b",))


@given(
    method=st.none() | st.sampled_from(METHODS),
    forced=st.lists(st.sampled_from("abc")),
    methods=st.none() | st.lists(st.sampled_from(METHODS)),
    workspaces=st.none() | st.lists(st.sampled_from(("a", "b", " c", ""))),
)
def test_restricting_never_permits_more(
    method: LoginMethod | None,
    forced: list[str],
    methods: list[LoginMethod] | None,
    workspaces: list[str] | None,
) -> None:
    """Whatever is managed, what the person's own policy forbids stays forbidden, and so does what it forbids."""
    own = Policy(method, tuple(forced))
    try:
        policy = own.restrict(methods=methods, workspaces=workspaces)
    except ConfigError:
        return
    for each in policy.methods:
        assert own.permits(each)
        assert methods is None or each in methods
    if "chatgpt" in policy.methods and workspaces is not None:
        assert policy.workspaces
        assert set(policy.workspaces) <= {name.strip() for name in workspaces}
    if "chatgpt" in policy.methods and forced:
        assert policy.workspaces
        assert set(policy.workspaces) <= set(forced)
