"""Every failure that one part of the daemon tells another: the whole tree, and where other exceptions end.

AccountdError
├─ ConfigError          the person's: a file or variable says what cannot be; names the key and the file
├─ SocketError          the person's: the socket cannot be listened on; says why
├─ RequestError         the client's, or an answer meant for it: becomes a JSON-RPC error
│  ├─ ParseError            -32700  not JSON
│  ├─ InvalidRequest        -32600  not a request that can be met
│  │  ├─ NotLoggedIn            -32600  it is about a login, and there is none
│  │  ├─ LoginMethodForbidden   -32600  the configuration does not permit logins of this kind
│  │  ├─ DeviceCodesDisabled    -32600  the issuer offers no device codes here
│  │  ├─ ExternalTokensActive   -32600  a client supplies tokens of its own
│  │  ├─ NoSuchAccount          -32600  a name of no account
│  │  ├─ AmbiguousAccount       -32600  a name of several
│  │  └─ ShuttingDown           -32600  the daemon is about to end
│  ├─ MethodNotFound        -32601  a fair request, to the wrong server
│  ├─ Overloaded            -32001  too much at once
│  └─ RequestFailed         -32603  a fair request that something outside would not let us meet
│     └─ PortUnavailable        -32603  no port for a browser login could be had
├─ ClientFailed         a client's: it did not answer what it was asked
├─ AgentUnavailable     the person's, or Codex's: there is no agent to be had; says what to do
│  └─ AgentSilent            there is one, and it does not answer in time, and so never will
├─ LoginFailed          the issuer's, the network's or the person's: ends a login with this text
│  ├─ LoginDenied           the person, or their organisation, said no
│  ├─ LoginCancelled        somebody said so: a client, a newer login, another program, the shutdown
│  │  ├─ PortYielded            another program asked for the port of a browser login
│  │  └─ DaemonEnding           the daemon was told to end
│  ├─ LoginTimedOut         the person did not come
│  ├─ WorkspaceForbidden    the tokens are for a workspace that the configuration does not allow
│  └─ RequirementsUnavailable   what the workspace requires could not be had, or cannot be used
├─ RefreshError         the issuer's or the network's: the access token stays as it is
│  ├─ RefreshRefused        no second try can change it: the person must log in again
│  └─ RefreshFailed         the next try may do better
│     └─ IssuerUnreachable      no answer came to it
├─ RemoteError          the network's: nothing above `web` ever sees an httpx exception
│  ├─ RemoteUnreachable     no whole answer came; the request may be tried again if it is safe to
│  │  ├─ RemoteTooSlow          it did not come within the time that this kind of request has
│  │  ├─ UnusableProxy          a variable names no proxy that can be used
│  │  └─ UnusableBundle         a variable names no authorities that can be read
│  └─ RemoteRefused         an answer came, and it says no; carries its status and what may be told of it
└─ StorageError         the disk's or another program's: nothing above `storage` ever sees an OSError
   ├─ MalformedRecord       what is stored cannot be read as credentials
   ├─ UnreadableRecord      there is a document that this user may not read
   ├─ CredentialsLocked     another program did not let go of the locks
   └─ KeyringError          the keyring's
      ├─ KeyringAbsent          there is none here
      └─ KeyringLocked          it wants a password first

What else the package raises does not get far:

- a ValueError of a reader of text, such as `MalformedToml` or `MalformedToken`, to who has called the reader, and
  knows what the text was: that makes one of these of it;
- an OSError, of the system or of `files`, to the floor that touches the thing, ground or outside; the client
  library, the front and the street, which have files and sockets of their own, put theirs into words themselves;
- what ends a verb, or has gone wrong in the sandbox or the doctor, no further than there;
- `client.errors` is another tree, for programs that use the library; and `rpc` has its own.

tests/ground/test_errors.py and tests/test_architecture.py hold it.

A message is for a person: it names no token, and no class of ours.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from accountd.secret import Secret


class AccountdError(Exception):
    """Any failure that this package foresees."""


class ConfigError(AccountdError):
    """A configuration that cannot be used. Raised while starting, before anything is open.

    The message ends in the `remedy`, if there is one besides to correct what it says.
    """

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


class SocketError(AccountdError):
    """The socket's path cannot be used. Raised before anything is listened on."""


class RequestError(AccountdError):
    """A failure of one request, told to its client as a JSON-RPC error. The connection goes on."""

    code: ClassVar[int]


class ParseError(RequestError):
    """The bytes are not JSON (JSON-RPC 2.0 section 5.1)."""

    code = -32700


class InvalidRequest(RequestError):
    """The request is malformed, ill-timed or forbidden. Codex uses this code for all three."""

    code = -32600


class NotLoggedIn(InvalidRequest):
    """A request that needs a login, and there is none."""


class LoginMethodForbidden(InvalidRequest):
    """The configuration, or the machine's administrator, does not permit logins of this kind."""


class DeviceCodesDisabled(InvalidRequest):
    """The issuer offers no device codes, or the person's workspace forbids them."""


class ExternalTokensActive(InvalidRequest):
    """A client supplies tokens of its own: no login may be begun until a logout."""


class NoSuchAccount(InvalidRequest):
    """An account is named, and there is none of that name."""


class AmbiguousAccount(InvalidRequest):
    """An account is named, and several may be meant: `candidates` are names of which each means one."""

    def __init__(self, name: str, candidates: list[str]) -> None:
        super().__init__(f'"{name}" may be {", ".join(candidates)}')
        self.candidates = candidates


class ShuttingDown(InvalidRequest):
    """The daemon is about to end, and begins no login any more."""


class MethodNotFound(RequestError):
    """The method is the Codex agent's. One that nobody knows is an InvalidRequest, as in Codex."""

    code = -32601


class Overloaded(RequestError):
    """More requests at once than one connection may have."""

    code = -32001


class RequestFailed(RequestError):
    """The request is fair, but the issuer, the backend, the disk or a bug stands in its way."""

    code = -32603


class PortUnavailable(RequestFailed):
    """Every port that a browser login may use is taken, or may not be opened."""


class ClientFailed(AccountdError):
    """A client was asked for something and left, refused, or took too long."""


class AgentUnavailable(AccountdError):
    """No Codex is there to be run, or it does not come up."""


class AgentSilent(AgentUnavailable):
    """An agent that does not answer in time, and so never will."""


class LoginFailed(AccountdError):
    """A login ends without credentials; the message is the `error` of `account/login/completed`."""


class LoginDenied(LoginFailed):
    """A login ends because the person, or a rule of their organisation, did not allow it."""


class LoginCancelled(LoginFailed):
    """A login ends because somebody said so. Nothing is stored."""


class PortYielded(LoginCancelled):
    """A browser login ends because another program asked for its port, as Codex does for a login of its own."""


class DaemonEnding(LoginCancelled):
    """A login ends because the daemon does."""


class LoginTimedOut(LoginFailed):
    """A login ends because nobody approved it in time."""


class WorkspaceForbidden(LoginFailed):
    """A login ends because its tokens are for a workspace that may not be used here."""


class RequirementsUnavailable(LoginFailed):
    """Requirements that there are could not be had, or cannot be used. The texts are Codex's.

    The message ends a login; `reading` answers `configRequirements/read`. `passing`: the next try, a moment
    later, may do better. `unauthorized`: another access token might.
    """

    def __init__(
        self, what: str, reading: str | None = None, *, passing: bool = True, unauthorized: bool = False
    ) -> None:
        super().__init__(f"failed to load workspace requirements: {what}")
        layers = reading or "Failed to load cloud config bundle (workspace-managed policies)."
        self.reading = f"failed to read configuration layers: {layers}"
        self.passing = passing
        self.unauthorized = unauthorized


class RefreshError(AccountdError):
    """The access token could not be refreshed."""


class RefreshRefused(RefreshError):
    """The issuer will never take this refresh token (again). `code` is its word for why, if it had one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class RefreshFailed(RefreshError):
    """The issuer was not reached, or is in trouble; or the disk is. `rotated`: a refresh token that came anyway."""

    def __init__(self, message: str, rotated: Secret | None = None) -> None:
        super().__init__(message)
        self.rotated = rotated


class IssuerUnreachable(RefreshFailed):
    """No answer came to a refresh, from the issuer or what is on the way to it."""


class RemoteError(AccountdError):
    """The issuer or the backend did not do what it was asked."""


class RemoteUnreachable(RemoteError):
    """No whole answer: name resolution, connection, TLS, proxy, or a deadline."""


class RemoteTooSlow(RemoteUnreachable):
    """A request's own time limit is over. Clients know a text for each."""


class UnusableProxy(RemoteUnreachable):
    """The variable that names a proxy does not. What it says may have a password in it, and is not repeated."""

    def __init__(self, variable: str, fault: str) -> None:
        super().__init__(f"{variable} {fault}")
        self.remedy = f"set {variable} to http://HOST:PORT, or unset it"


class UnusableBundle(RemoteUnreachable):
    """What a variable names has no authorities that can be read; `problem` says why, `remedy` what to do."""

    def __init__(self, variable: str, path: str, problem: str, remedy: str | None = None) -> None:
        self.problem = f"{path}, of {variable}, {problem}"
        self.remedy = remedy or f"set {variable} to a PEM file that you can read, or unset it"
        super().__init__(f"{self.problem}. {self.remedy[:1].upper()}{self.remedy[1:]}.")


class RemoteRefused(RemoteError):
    """An answer that is no success. `status` is its HTTP status, 0 where a 2xx could not be understood.

    `is_page`: it is a page for a browser, of a proxy or of whoever guards the server, and so may pass.
    """

    def __init__(self, message: str, status: int, *, is_page: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.is_page = is_page


class StorageError(AccountdError):
    """Credentials could not be read, written or deleted, or their lock could not be had in time.

    The message ends in the `remedy`, if there is one.
    """

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


class MalformedRecord(StorageError):
    """The stored document cannot be read as credentials. Its text is never part of the message."""


class UnreadableRecord(StorageError):
    """There is a document, and this user may not read it. What it holds is not known."""


class CredentialsLocked(StorageError):
    """Another program would not let go of the credential locks. The message names it, where the system tells."""


class KeyringError(StorageError):
    """A keyring did not do what it was asked. The message is one line, and says what the person can do."""

    def __init__(self, problem: str, remedy: str = "see to it") -> None:
        super().__init__(problem, f'{remedy}, or set cli_auth_credentials_store = "file" in config.toml')


class KeyringAbsent(KeyringError):
    """There is no keyring where this process runs, as on most servers: nothing is kept in it."""


class KeyringLocked(KeyringError):
    """The keyring wants a password first. Nobody is asked for it on behalf of a daemon."""

    def __init__(self) -> None:
        super().__init__("the keyring is locked", "unlock it")


def describe_status(status: int) -> str:
    """Render an HTTP status as Codex prints it: `404 Not Found`, or the bare number if it has no name."""
    from http import HTTPStatus  # which the verbs of the command line have no use for

    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


_SHORTAGES: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN))


def describe_shortage(error: BaseException) -> str | None:
    """Name what the process has too little of for now: descriptors, memory, threads; None if that is not the cause.

    It may come from anywhere, an import too, and is nobody's bug: whoever asks again may be served.
    """
    match error:
        case BaseExceptionGroup(exceptions=(only,)):  # of the nurseries that it came through
            return describe_shortage(only)
        case MemoryError():
            return "out of memory"
        case RuntimeError() if str(error) == "can't start new thread":
            return "no thread can be started"
        case OSError() if error.errno in _SHORTAGES:
            return describe_os_error(error)
        case ImportError() if "Too many open files" in str(error):  # the loader's words for a shared library
            return "Too many open files"
    return None


def describe_os_error(error: OSError) -> str:
    """Render an OS error as Codex prints it: `No space left on device (os error 28)`. Names no path.

    One of this package's own has words of ours. A library's, whose number means something else, has its class.
    """
    if type(error).__module__.startswith("accountd."):
        return str(error.strerror)
    if not isinstance(error.errno, int) or type(error).__module__ != "builtins":
        return type(error).__name__
    return f"{os.strerror(error.errno)} (os error {error.errno})"


def describe_foreign(error: BaseException) -> str:
    """Name an error that is not of this package. Never in its own words: they may quote a header with a token."""
    return describe_os_error(error) if isinstance(error, OSError) else type(error).__name__
