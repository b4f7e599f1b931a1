"""What the organisation of the current account requires: fetched before its login counts, and kept current.

An account of a plan that has requirements is not used without them. Once had they are kept, in memory and in a
file of our own, and a backend that cannot be reached takes nothing away: the old ones hold until there are new.
"""

from __future__ import annotations

import logging
import random
import socket
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import msgspec
import trio

from accountd import paths
from accountd.codex.plans import ELIGIBLE_PLANS
from accountd.config.layers import MACHINE_FOLDER
from accountd.config.toml_file import TomlFile
from accountd.errors import ConfigError, RemoteRefused, RemoteUnreachable, RequestFailed, RequirementsUnavailable
from accountd.requirements.file import TTL, Kept, Owner
from accountd.requirements.layers import (
    NO_REQUIREMENTS,
    Layer,
    Machine,
    MalformedLayer,
    find_unknown,
    make_layer,
    parse_bundle,
    refused_with,
    timed_out_after,
)
from accountd.requirements.rendering import render_response
from accountd.supervisor import supervise
from accountd.system.threads import run_in_thread
from accountd.unforeseen import explain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from accountd.config.policy import PolicyHolder
    from accountd.protocol.requirements import ConfigRequirementsReadResponse
    from accountd.requirements.file import BundleFile
    from accountd.secret import Secret
    from accountd.storage.base import ChatgptLogin
    from accountd.system.clock import Clock

    MayAskAgain = Callable[[ChatgptLogin, int], Awaitable[bool]]
    ReadBundle = Callable[[Secret, str | None], Awaitable[bytes]]
    ParseBundle = Callable[[bytes, Machine, Layer], Awaitable[Layer]]

SYSTEM_FILE: Final = MACHINE_FOLDER / paths.MACHINE_REQUIREMENTS
"""Where whoever runs the machine says what is required, of every account. Codex reads the same."""

RETRY: Final = 60.0
"""Seconds until the next try by itself, after a failure."""

TIMEOUT: Final = 20.0
"""Seconds for all tries together, in which a person waits for their login."""

_FIRST_TRY: Final = 5.0  # seconds for the first of them, which may have met a dead connection
_TRIES: Final = 5
_FIRST_PAUSE: Final = 0.2  # seconds, doubled with each try, and up to a tenth more or less

_TASK: Final = "keeping requirements current"

_log = logging.getLogger(__name__)


async def parse_bundle_in_thread(body: bytes, machine: Machine, system: Layer) -> Layer:
    """Parse a bundle, which may be large, while others are served. Raises RequirementsUnavailable."""
    return await run_in_thread(parse_bundle, body, machine, system)


class InUse(Protocol):
    """The login whose requirements count: an account's credential."""

    @property
    def login(self) -> ChatgptLogin | None:
        """Return it, if there is one."""
        ...

    @property
    def changed(self) -> trio.Event:
        """Return what is set when it is another one, or has other tokens, than when this was asked for."""
        ...

    @property
    def is_at_rest(self) -> bool:
        """Return True while nobody uses it, so that nothing is fetched for it."""
        ...


class RequirementsService:
    """The requirements of one account. Opened by `open_requirements`.

    `may_ask_again` is told how many times in a row the backend has refused a login's tokens, and gives True if it
    is to be asked once more; the tokens may be others by then.
    """

    def __init__(
        self,
        credential: InUse,
        may_ask_again: MayAskAgain,
        *,
        read_bundle: ReadBundle,
        policy: PolicyHolder,
        clock: Clock,
        machine: Machine,
        file: BundleFile | None,
        system: Layer = NO_REQUIREMENTS,
        parse: ParseBundle = parse_bundle_in_thread,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._credential = credential
        self._may_ask_again = may_ask_again
        self._read_bundle = read_bundle
        self._policy = policy
        self._clock = clock
        self._machine = machine
        self._file = file
        self._system = system
        self._parse_bundle = parse
        self._chance = chance
        self._had: dict[Owner, tuple[Kept, Layer]] = {}
        self._saved: Kept | None = None
        self._failure: tuple[Owner, RequirementsUnavailable] | None = None
        self._refusals: tuple[Owner | None, int] = (None, 0)  # in a row, until some tokens are taken
        self._news = trio.Event()

    def is_known(self) -> bool:
        """Return True if `known` has an answer, which is much quicker to say than to give."""
        owner = self._find_owner()
        return owner is None or owner in self._had

    def known(self) -> ConfigRequirementsReadResponse | None:
        """Return what is required, or None if `read` has to be asked, because that is not here yet."""
        owner = self._find_owner()
        if owner is None:
            return render_response(self._system.values, self._policy.current.methods)
        had = self._had.get(owner)
        return render_response(had[1].values, self._policy.current.methods) if had is not None else None

    async def read(self) -> ConfigRequirementsReadResponse:
        """Return what is required. Raises RequestFailed while that cannot be known."""
        while (answer := self.known()) is None:
            if (failure := self._find_failure()) is not None:
                raise RequestFailed(failure.reading)
            await self._news.wait()
        return answer

    async def require(self) -> None:
        """Wait until the account may be used. Raises RequestFailed while its requirements cannot be known."""
        while not self.is_known():
            if (failure := self._find_failure()) is not None:
                raise RequestFailed(str(failure))
            await self._news.wait()

    async def load_for(self, login: ChatgptLogin) -> None:
        """Have the requirements of a login that is about to be committed. Raises RequirementsUnavailable.

        At once for a plan that has none, and for an owner whose requirements are fresh. What the current
        account requires is as it was, whatever comes of it. Cancelling it asks no more.
        """
        if login.plan not in ELIGIBLE_PLANS:
            return
        owner, access_token = Owner(login.claims.user_id, login.account_id), login.tokens.access_token
        had = await self._recall(owner)
        if had is None or not owner.is_known or not had[0].is_fresh(self._clock.now()):
            try:
                fetched = await self._fetch(owner, access_token)
            except RequirementsUnavailable as error:
                if not error.unauthorized:
                    raise
                fetched = await self._fetch(
                    owner, access_token
                )  # one refusal may pass; there is nothing to refresh
            self._keep(owner, fetched)

    async def replace_system(self, system: Layer) -> None:
        """Have what the machine requires replaced, below what the workspace does."""
        self._system = system
        for owner, (kept, _) in tuple(self._had.items()):
            with suppress(RequirementsUnavailable):  # then what is known of it stays
                layer = await self._parse(bytes(kept.bundle))
                if owner in self._had and self._had[owner][0] is kept:
                    self._had[owner] = (kept, layer)

    async def keep_current(self) -> NoReturn:
        """Fetch what is missing and what gets old, for ever: one wake-up for the next time, and none besides."""
        while True:
            changed = self._credential.changed
            self._tell()
            if self._credential.is_at_rest:
                await changed.wait()
                continue
            async with trio.open_nursery() as nursery:
                nursery.start_soon(supervise, _TASK, self._keep_these_current)
                await changed.wait()
                nursery.cancel_scope.cancel()

    async def _keep_these_current(self) -> None:
        """Do so for the account as it is now, until it is cancelled, or finds that it is another.

        Whatever it fails at is an answer for those who wait, until the supervisor's next try.
        """
        login, owner = self._credential.login, self._find_owner()
        if login is None or owner is None:
            await trio.sleep_forever()
        try:
            await self._keep_current_for(owner, login)
        except Exception as error:
            self._fail(owner, RequirementsUnavailable(explain(error)))
            raise

    async def _keep_current_for(self, owner: Owner, login: ChatgptLogin) -> None:
        while True:
            had = await self._recall(owner)
            if had is not None:
                self._save(had[0])
                if had[0].is_fresh(self._clock.now()):
                    await self._clock.sleep_until(had[0].fetched_at + TTL)
                    continue
            try:
                self._keep(owner, await self._fetch(owner, login.tokens.access_token))
                self._failure, self._refusals = None, (None, 0)
                self._tell()
            except RequirementsUnavailable as error:
                if error.unauthorized and await self._may_ask_again(login, self._count_refusal(owner)):
                    if self._credential.login is not login:
                        return
                    continue
                _log.warning("%s", error)
                self._fail(owner, error)
                await self._clock.sleep_until(self._clock.now() + RETRY)

    def _count_refusal(self, owner: Owner) -> int:
        refused, times = self._refusals
        self._refusals = (owner, times + 1 if refused == owner else 1)
        return self._refusals[1]

    def _find_owner(self) -> Owner | None:
        """Name the current account, if it is of a plan that has requirements."""
        login = self._credential.login
        if login is None or login.plan not in ELIGIBLE_PLANS:
            return None
        return Owner(login.claims.user_id, login.account_id)

    def _find_failure(self) -> RequirementsUnavailable | None:
        return self._failure[1] if self._failure is not None and self._failure[0] == self._find_owner() else None

    def _fail(self, owner: Owner, failure: RequirementsUnavailable) -> None:
        """Have those who wait know that these requirements are not to be had, for now."""
        self._failure = (owner, failure)
        self._tell()

    def _tell(self) -> None:
        """Have those who wait look again."""
        self._news.set()
        self._news = trio.Event()

    async def _fetch(self, owner: Owner, access_token: Secret) -> tuple[Kept, Layer]:
        """Ask the backend, a few times. Raises RequirementsUnavailable."""
        failure = timed_out_after(TIMEOUT)
        with trio.move_on_after(TIMEOUT):
            for attempt in range(_TRIES):
                if attempt:
                    await trio.sleep(_FIRST_PAUSE * 2 ** (attempt - 1) * (0.9 + 0.2 * self._chance()))
                with trio.move_on_after(TIMEOUT if attempt else _FIRST_TRY):
                    try:
                        return await self._try(owner, access_token)
                    except RequirementsUnavailable as error:
                        if attempt == _TRIES - 1 or not error.passing:
                            raise
        raise failure

    async def _try(self, owner: Owner, access_token: Secret) -> tuple[Kept, Layer]:
        try:
            body = await self._read_bundle(access_token, owner.account_id)
        except RemoteRefused as error:
            raise refused_with(error.status or None) from error
        except RemoteUnreachable as error:
            raise refused_with(None) from error
        layer = await self._parse(body)
        return Kept(owner, self._clock.now(), msgspec.Raw(body)), layer

    async def _parse(self, body: bytes) -> Layer:
        """Parse a bundle above what the machine requires by the time it is done. Raises RequirementsUnavailable."""
        while True:
            system = self._system
            layer = await self._parse_bundle(body, self._machine, system)
            if system is self._system:
                return layer

    def _keep(self, owner: Owner, had: tuple[Kept, Layer]) -> None:
        current = self._find_owner()
        self._had = {each: of_each for each, of_each in self._had.items() if each == current} | {owner: had}

    async def _recall(self, owner: Owner) -> tuple[Kept, Layer] | None:
        """Find what there is, in memory or in the file, however old."""
        kept = self._file.load() if self._file is not None and owner not in self._had and owner.is_known else None
        if kept is not None and kept.owner == owner:
            with suppress(RequirementsUnavailable):
                layer = await self._parse(bytes(kept.bundle))
                if owner not in self._had:  # by now, newer ones may have come
                    self._had[owner] = (kept, layer)
                    self._saved = kept
        return self._had.get(owner)

    def _save(self, kept: Kept) -> None:
        if self._file is not None and kept is not self._saved and kept.owner.is_known:
            self._saved = kept  # before it is: what fails is not tried again, nor in the way of what is newer
            self._file.save(kept)


def this_machine(folder: Path) -> Machine:
    """Describe this machine, for a layer whose relative paths start at a folder."""
    home = paths.user_home()
    return Machine(folder, None if home is None else Path(home), socket.gethostname())


def read_system_layer(path: Path = SYSTEM_FILE) -> Layer:
    """Read what the machine itself requires; a file that is not there requires nothing. Raises ConfigError.

    A key that is not known is ignored, for newer ones come, and warned of: whoever misspells one requires nothing.
    """
    file = TomlFile.read(path, must_lead=True)
    try:
        layer = make_layer(file.values, this_machine(path.parent), of_logins=True)
    except MalformedLayer as error:
        if error.key:
            raise file.error(*error.key, complaint=error.complaint) from error
        raise ConfigError(f"{path}: {error}") from error
    warnings = sorted(file.describe(key, complaint=words) for key, words in find_unknown(file.values))
    return msgspec.structs.replace(layer, warnings=tuple(warnings))


@asynccontextmanager
async def open_requirements(service: RequirementsService) -> AsyncIterator[RequirementsService]:
    """Have a service's requirements kept current during the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, _TASK, service.keep_current)
        yield service
        nursery.cancel_scope.cancel()
