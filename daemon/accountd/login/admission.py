"""What a login may become: from what it got, checked against the policy, to the record that is stored.

Nothing here waits, and nothing is stored: a record that is refused here has never been anywhere.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import msgspec

from accountd.config.policy import Policy
from accountd.errors import InvalidRequest, LoginFailed, RequestFailed
from accountd.oauth.claims import MalformedToken, parse_claims
from accountd.oauth.fields import Uncarried
from accountd.secret import Secret
from accountd.storage.base import api_key_record, chatgpt_record, external_record

if TYPE_CHECKING:
    from accountd.account.workspaces import SignIn
    from accountd.config.policy import PolicyHolder
    from accountd.config.settings import LoginMethod
    from accountd.oauth.tokens import TokenSet
    from accountd.protocol.account import ExternalTokensLogin
    from accountd.storage.base import AuthRecord, Provenance


class Admission:
    """The policy as it bears on logins. `provenance` is what is noted of where their tokens come from."""

    def __init__(self, policy: PolicyHolder, provenance: Provenance) -> None:
        self.policy = policy
        self._provenance = provenance

    def check_method(self, method: LoginMethod) -> None:
        """Raise InvalidRequest if nobody may log in by this method."""
        self.policy.current.check_method(method)

    def admit_key(self, key: Secret) -> AuthRecord:
        """Make a record of an API key, which is not tried. Raises InvalidRequest if it may not be used."""
        self.policy.current.check_method("api")
        try:
            return api_key_record(key)
        except Uncarried as error:
            raise InvalidRequest(f"{error}; give it as it was issued") from None

    def admit_tokens(self, tokens: TokenSet, api_key: Secret | None, sign_in: SignIn | None = None) -> AuthRecord:
        """Make a record of what a login got. Raises LoginFailed if it is malformed, or forbidden.

        Where it is the `sign_in` to a workspace, it is of the session that this is for, or of no use.
        """
        try:
            claims = parse_claims(tokens.id_token)
        except MalformedToken as error:
            raise LoginFailed(str(error)) from None
        try:
            record = chatgpt_record(tokens, claims, self._provenance, time.time_ns(), api_key)
        except Uncarried as error:
            raise LoginFailed(f"what the issuer gave cannot be used: {error}") from None
        self.policy.current.check_workspace(record.chatgpt)
        return record if sign_in is None else _continue(record, sign_in)

    def admit_external(self, given: ExternalTokensLogin) -> AuthRecord:
        """Make a record of a client's own tokens. Raises RequestError if they are malformed, or forbidden."""
        if not self.policy.current.permits("chatgpt"):
            raise InvalidRequest("External ChatGPT auth is disabled. Use API key login instead.")
        self._check_external(given.chatgpt_account_id)  # before the token is looked at, as Codex does
        try:
            record = external_record(Secret(given.access_token), given.chatgpt_account_id, given.chatgpt_plan_type)
        except Uncarried as error:
            raise InvalidRequest(f"{error}; give it as it was issued") from None
        except MalformedToken as error:
            raise RequestFailed(f"failed to set external auth: {error}") from error
        if record.chatgpt is not None and record.chatgpt.claimed_account_id is not None:
            self._check_external(record.chatgpt.claimed_account_id)
        if not self.policy.current.permits_workspace(record.chatgpt):
            raise InvalidRequest("External auth must name the workspace of its accessToken in chatgptAccountId.")
        return record

    def _check_external(self, named: str) -> None:
        workspaces = self.policy.current.workspaces
        if workspaces and named not in workspaces:
            allowed = json.dumps(workspaces, ensure_ascii=False)
            raise InvalidRequest(f'External auth must use one of workspace(s) {allowed}, but received "{named}".')


def _continue(record: AuthRecord, sign_in: SignIn) -> AuthRecord:
    """Make a login go on as the session that it is a sign-in of. The texts are Codex's."""
    login = record.chatgpt
    if login is None or login.user_id != sign_in.user_id:
        raise LoginFailed("Sign-in completed but credentials could not be saved locally.")
    Policy(workspaces=(sign_in.account_id,)).check_workspace(login)
    return msgspec.structs.replace(record, chatgpt=msgspec.structs.replace(login, login_owner_id=sign_in.owner_id))
