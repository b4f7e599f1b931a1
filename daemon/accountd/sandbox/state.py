"""What the sandbox knows: its script, the codes and tokens that it issued, and which requests came. No I/O."""

from __future__ import annotations

import secrets
from collections import Counter, deque
from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec

from accountd.oauth.device import Approval
from accountd.oauth.pkce import challenge_of
from accountd.oauth.tokens import TokenSet
from accountd.sandbox.jwt import render_access_token, render_id_token
from accountd.sandbox.script import Claims, Fault, Script
from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Hard to mistake for one another, and no vowels, so no words (RFC 8628 section 6.1)."""

_CODE_LIFETIME: Final = 600.0
"""Seconds for which an authorization code is good (RFC 6749 section 4.1.2 allows no more)."""

_LOG_LENGTH: Final = 1000
_PROMPTS: Final = 100
_LONGEST_PROMPT: Final = 500  # characters
_LOGGED_PATH: Final = 200  # characters


Event = dict[str, object]
"""Something that has happened, as the JSON object that tells of it: `event` is `request` or `login`."""


class Status(Enum):
    """Where a device login stands. Only the first can change."""

    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


class DeviceLogin(msgspec.Struct, eq=False):
    """One user code and what became of it. `approval` is made when the client first asks after the approval."""

    user_code: str
    client_id: str
    expires: float
    status: Status = Status.WAITING
    polls: int = 0
    approval: Approval | None = None


class AuthorizationCode(msgspec.Struct, frozen=True):
    """What a code is good for: one exchange by this client, with this redirect URI and the challenge's verifier.

    For whichever of the person's workspaces is among `workspaces`; none named means the first.
    """

    client_id: str
    redirect_uri: str
    challenge: str
    expires: float
    workspaces: tuple[str, ...] = ()


class Grant(msgspec.Struct, eq=False):
    """One login through all its refreshes, which are for the person and the workspace for whom it was made.

    `claims` are those of its first tokens.
    """

    client_id: str
    workspaces: tuple[str, ...] = ()
    revoked: bool = False
    claims: Claims | None = None


class IssuedToken(msgspec.Struct, frozen=True, eq=False):
    """An access or ID token."""

    grant: Grant
    claims: Claims
    expires: float


class RefreshToken(msgspec.Struct, eq=False):
    """Good for one refresh."""

    grant: Grant
    spent: bool = False


class LoggedRequest(msgspec.Struct, frozen=True):
    """A request that came, at a Unix time; status 0 if it was dropped. Never query, headers or body."""

    at: float
    method: str
    path: str
    status: int


class Prompt(msgspec.Struct, frozen=True):
    """What the model was asked, at a Unix time: by whom, the last text, and the status of the answer."""

    at: float
    by: str
    text: str
    status: int


class State:
    """One sandbox's memory. `now` gives the Unix time; nothing else here looks at a clock."""

    def __init__(self, script: Script, now: Callable[[], float]) -> None:
        self.now = now
        self.tell: Callable[[Event], None] = lambda _: None
        self._first_script = script
        self.reset()

    def reset(self) -> None:
        """Forget everything, and follow the script of the beginning again."""
        self.change_script(self._first_script)
        self.requests: deque[LoggedRequest] = deque(maxlen=_LOG_LENGTH)
        self.prompts: deque[Prompt] = deque(maxlen=_PROMPTS)
        self._logins: dict[Secret, DeviceLogin] = {}
        self._codes: dict[Secret, AuthorizationCode] = {}
        self._access_tokens: dict[Secret, IssuedToken] = {}
        self._id_tokens: dict[Secret, IssuedToken] = {}
        self._refresh_tokens: dict[Secret, RefreshToken] = {}

    # the script

    def change_script(self, script: Script) -> None:
        """Follow another script from now on. The requests that its faults count begin now, too."""
        self.script = script
        self._seen: Counter[str] = Counter()

    def next_fault(self, path: str) -> Fault | None:
        """Count a request to this path, and give what the script has for it."""
        faults = [fault for fault in self.script.faults if fault.path == path]
        if not faults:
            return None  # so that only paths which a script names are counted
        self._seen[path] += 1
        return next((fault for fault in faults if fault.nth == self._seen[path]), None)

    def has_happened(self, fault: Fault) -> bool:
        """Return True if the request that a fault of the script is about has come."""
        return self._seen[fault.path] >= fault.nth

    def log(self, method: str, path: str, status: int) -> None:
        """Remember a request; the oldest is forgotten for it when there are many."""
        request = LoggedRequest(self.now(), method[:20], path[:_LOGGED_PATH], status)
        self.requests.append(request)
        self.tell({"event": "request", **msgspec.structs.asdict(request)})

    def note_prompt(self, by: str, text: str, status: int) -> None:
        """Remember what the model was asked, likewise."""
        self.prompts.append(Prompt(self.now(), by, text[:_LONGEST_PROMPT], status))

    # device logins

    def start_login(self, client_id: str) -> tuple[Secret, DeviceLogin]:
        """Return a new user code, and the id that its client polls with."""
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        login = DeviceLogin(f"{letters[:4]}-{letters[4:]}", client_id, self.now() + self.script.code_lifetime)
        device_auth_id = Secret("deviceauth_" + secrets.token_urlsafe(24))
        self._logins[device_auth_id] = login
        self._tell_of(login)
        return device_auth_id, login

    def poll_login(self, device_auth_id: Secret, user_code: str) -> DeviceLogin | None:
        """Count a client's poll, and let the script decide if it is its turn."""
        login = self._logins.get(device_auth_id)
        if login is None or login.user_code != user_code:
            return None
        login.polls += 1
        script = self.script
        if login.polls > (script.approve_after_polls or 0):
            if script.deny or script.expire:
                self._settle(login, Status.DENIED if script.deny else Status.EXPIRED)
            elif script.approve_after_polls is not None:
                self._settle(login, Status.APPROVED)
        return self._aged(login)

    def find_login(self, typed: str) -> DeviceLogin | None:
        """Find the login of a code as a person types it: case, spaces and dashes do not matter."""
        wanted = _bare(typed)
        return next(
            (self._aged(login) for login in self._logins.values() if _bare(login.user_code) == wanted), None
        )

    def waiting(self) -> list[DeviceLogin]:
        """List the logins that a person can decide, the newest first."""
        return [login for login in reversed(self._logins.values()) if self._aged(login).status is Status.WAITING]

    def decide(self, login: DeviceLogin, *, approve: bool) -> None:
        """Note the person's decision. Nothing changes if the login is decided or has expired."""
        self._settle(login, Status.APPROVED if approve else Status.DENIED)

    def approve_login(self, login: DeviceLogin, redirect_uri: str) -> Approval | None:
        """Return the code and verifier of an approved login: the same ones until used, then None."""
        if login.approval is None:
            verifier = Secret(secrets.token_urlsafe(48))
            code = self.issue_code(login.client_id, redirect_uri, challenge_of(verifier))
            login.approval = Approval(code, verifier)
        return login.approval if login.approval.code in self._codes else None

    def _settle(self, login: DeviceLogin, status: Status) -> None:
        if self._aged(login).status is Status.WAITING:
            login.status = status
            self._tell_of(login)

    def _aged(self, login: DeviceLogin) -> DeviceLogin:
        if login.status is Status.WAITING and self.now() >= login.expires:
            login.status = Status.EXPIRED
            self._tell_of(login)
        return login

    def _tell_of(self, login: DeviceLogin) -> None:
        status = login.status.value
        self.tell({"event": "login", "at": self.now(), "userCode": login.user_code, "status": status})

    # codes and tokens

    def issue_code(
        self, client_id: str, redirect_uri: str, challenge: str, workspaces: tuple[str, ...] = ()
    ) -> Secret:
        """Return an authorization code for one exchange."""
        code = Secret("ac_" + secrets.token_urlsafe(32))
        expires = self.now() + _CODE_LIFETIME
        self._codes[code] = AuthorizationCode(client_id, redirect_uri, challenge, expires, workspaces)
        return code

    def take_code(self, code: Secret) -> AuthorizationCode | None:
        """Use a code up, whatever comes of it. None if it is unknown, used or too old."""
        found = self._codes.pop(code, None)
        return found if found and self.now() < found.expires else None

    def issue_tokens(self, grant: Grant, issuer: str) -> TokenSet:
        """Return a set of tokens with the claims that the script has now, if it is about the same person still."""
        script = self.script
        if grant.claims is not None and grant.claims.user_id != script.claims.user_id:
            script = msgspec.structs.replace(script, claims=grant.claims)
        claims = script.claims_in(grant.workspaces)
        grant.claims = grant.claims or claims
        now, expires = self._lifetime()
        issued = TokenSet(
            id_token=render_id_token(claims, issuer, grant.client_id, now, expires),
            access_token=self.issue_access_token(grant, claims, issuer),
            refresh_token=Secret("rt_" + secrets.token_urlsafe(48)),
        )
        self._id_tokens[issued.id_token] = IssuedToken(grant, claims, expires)
        self._refresh_tokens[issued.refresh_token] = RefreshToken(grant)
        return issued

    def issue_access_token(self, grant: Grant, claims: Claims, issuer: str) -> Secret:
        """Return an access token alone, with these claims."""
        now, expires = self._lifetime()
        token = render_access_token(claims, issuer, grant.client_id, now, expires)
        self._access_tokens[token] = IssuedToken(grant, claims, expires)
        return token

    def _lifetime(self) -> tuple[int, float]:
        now = int(self.now())
        return now, now + self.script.token_lifetime

    def find_refresh_token(self, token: Secret) -> RefreshToken | None:
        """Find a refresh token, spent and revoked ones too."""
        return self._refresh_tokens.get(token)

    def find_access_token(self, token: Secret) -> IssuedToken | None:
        """Find an access token that is good now."""
        return self._alive(self._access_tokens.get(token))

    def find_id_token(self, token: Secret) -> IssuedToken | None:
        """Find an ID token that is good now."""
        return self._alive(self._id_tokens.get(token))

    def revoke(self, token: Secret) -> None:
        """End a whole grant by its refresh token, or one access token; an unknown token is no error (RFC 7009)."""
        if found := self._refresh_tokens.get(token):
            found.grant.revoked = True
        self._access_tokens.pop(token, None)

    def _alive(self, token: IssuedToken | None) -> IssuedToken | None:
        return token if token and not token.grant.revoked and self.now() < token.expires else None


def _bare(user_code: str) -> str:
    return "".join(character for character in user_code.upper() if character.isalnum())
