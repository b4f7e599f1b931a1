"""Whatever fails at whichever place of whichever background task: the daemon lives, does its work, and answers."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
import trio
import trio.testing

from accountd.account.credential import Credential
from accountd.account.store_watch import StoreWatch
from accountd.config.policy import Policy, PolicyHolder
from accountd.config.settings import load
from accountd.errors import AccountdError
from accountd.hub import Hub
from accountd.login.browser import BrowserFlow
from accountd.login.device_code import DeviceCodeFlow
from accountd.oauth.claims import parse_claims
from accountd.protocol.account import BrowserLogin
from accountd.reload import Reloader
from accountd.sandbox import Claims, Script
from accountd.signals import open_signals
from accountd.storage.base import Provenance, chatgpt_record
from accountd.storage.memory import MemoryStore
from accountd.supervisor import LONGEST_PAUSE, supervise
from accountd.system.service_manager import ServiceManager
from cancellation.steps import deterministic
from fakes.bundles import bundle
from fakes.logged_in import HOUR, log_in, login_of, refresh_elsewhere
from fakes.office import BUNDLE
from fakes.world import open_world
from faults.anywhere import FAILURES, SECRET, Failing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from fakes.world import World

# A failure between two pieces of an answer leaves httpx's generators to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PATIENCE: Final = 2 * LONGEST_PAUSE
"""Seconds in which everything that waits for the background is answered, one way or the other."""

CALLERS: Final = Script(approve_after_polls=0, claims=Claims(plan="business"), token_lifetime=int(HOUR))


async def attempt(work: Callable[..., Awaitable[object]], *args: object) -> None:
    """Be a client, whose request is done or refused, and never left waiting."""
    with trio.fail_after(PATIENCE):
        with suppress(AccountdError):
            await work(*args)


async def keep_an_account(failing: Failing, home: Path) -> None:
    """Refresh, ahead of time and on request, and keep requirements current, also those of the next account."""
    asked: list[float] = []

    async def require(_: httpx.Request) -> httpx.Response:
        await trio.sleep(0.1)
        asked.append(trio.current_time())
        return httpx.Response(200, content=bundle("allow_appshots = true"))

    async with open_world(CALLERS, store=MemoryStore(), answer_for={BUNDLE: require}) as world:
        refresher, requirements = world.refresher, world.account.requirements
        await log_in(world)
        failing.arm()
        await attempt(refresher.refresh, "forced")
        await attempt(requirements.require)
        await attempt(log_in_elsewhere, world)
        await attempt(requirements.read)
        refresh_elsewhere(world)
        await attempt(world.account.store_watch.reload)
        await trio.sleep(2 * HOUR)
        failing.disarm()
        await trio.sleep(2 * HOUR)
        if world.credential.find_refusal(login_of(world)) is not None:
            await log_in(world)  # since the issuer's answer was lost, which nobody can help
        assert (refresher.seconds_left() or 0) > 0
        assert asked[-1] > trio.current_time() - HOUR - PATIENCE
        before = login_of(world).tokens
        await refresher.refresh("forced")
        assert login_of(world).tokens != before
        with trio.fail_after(PATIENCE):
            await requirements.require()


async def log_in_elsewhere(world: World) -> None:
    """Have another program log somebody else in."""
    world.sandbox.script = msgspec.structs.replace(
        CALLERS, claims=Claims(plan="business", account_id="other", user_id="other")
    )
    tokens = world.sandbox.issue_tokens()
    claims = parse_claims(tokens.id_token)
    assert isinstance(world.store, MemoryStore)
    world.store.record = chatgpt_record(tokens, claims, Provenance("http://127.0.0.1", "client"), 0)
    await world.account.store_watch.reload()


async def log_in_with_a_code(failing: Failing, home: Path) -> None:
    """Log in by device code."""
    async with open_world(Script(approve_after_polls=1), store=MemoryStore()) as world:
        await hold_a_login(world, failing, lambda _: None, DeviceCodeFlow(world.services.issuer))


async def log_in_with_a_browser(failing: Failing, home: Path) -> None:
    """Log in with a browser, whose person says no."""

    def deny(started: Any) -> None:
        query = parse_qs(urlsplit(started.auth_url).query)
        address = f"{query['redirect_uri'][0]}?error=access_denied&state={query['state'][0]}"
        world.logins.submit_callback(started.login_id, address)

    async with open_world(Script(approve_after_polls=1), store=MemoryStore()) as world:
        flow = BrowserFlow(
            world.services.issuer, originator="tests", workspaces=(), wishes=BrowserLogin(), ports=(0,)
        )
        await hold_a_login(world, failing, deny, flow)


async def hold_a_login(world: World, failing: Failing, act: Callable[[Any], None], flow: Any) -> None:
    """Begin a login, which fails its caller or completes exactly once; the next one is as good as ever."""
    replies: list[Any] = []
    failing.arm()
    with trio.fail_after(PATIENCE):
        try:
            await world.logins.start(flow, replies.append)
        except Exception:  # noqa: BLE001 - which a connection answers with an error
            assert world.logins.under_way() == ()
        else:
            await trio.sleep(1)
            if world.logins.under_way():
                act(replies[0])
            await world.wait_completion(replies[0].login_id)
    failing.disarm()
    await trio.sleep(PATIENCE)
    assert len(world.completions()) <= len(replies) <= 1
    with trio.fail_after(PATIENCE):
        await log_in(world)
        await world.logins.shut()


async def watch_a_file(failing: Failing, home: Path) -> None:
    """Notice what happens to a file, and to its folder."""
    file = home / "codex" / "auth.json"
    seen: list[str] = []

    class Store(MemoryStore):
        async def load(self) -> None:
            await trio.lowlevel.checkpoint()
            seen.append(file.read_text() if file.exists() else "nothing")

    async with trio.open_nursery() as nursery:
        credential = Credential(PolicyHolder(Policy()), Hub())
        watch = StoreWatch(credential, Store(), trio.Lock())
        nursery.start_soon(supervise, "watching", watch.follow, file)
        await trio.sleep(1)
        failing.arm()
        file.write_text("one")
        await trio.sleep(PATIENCE)
        assert seen[-1] == "one"
        shutil.rmtree(file.parent)
        await trio.sleep(PATIENCE)
        assert seen[-1] == "nothing"
        file.parent.mkdir(exist_ok=True)
        await trio.sleep(PATIENCE)
        failing.disarm()
        file.write_text("two")
        await trio.sleep(PATIENCE)
        assert seen[-1] == "two"
        nursery.cancel_scope.cancel()


class Told(ServiceManager):
    """A service manager, and what it was told, and when."""

    def __init__(self) -> None:
        super().__init__(self, watchdog=30)  # type: ignore[arg-type]  # it sends, and that is all
        self.lines: list[tuple[str, float]] = []

    def sendto(self, data: bytes, _: object) -> None:
        """Be its socket."""
        self.lines.append((data.decode().partition("\n")[0], trio.current_time()))


async def feed_a_watchdog(failing: Failing, home: Path) -> None:
    """Give a sign of life."""
    manager = Told()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, "feeding", manager.feed_watchdog)
        failing.arm()
        await trio.sleep(PATIENCE)
        failing.disarm()
        moments = [-1e9, *(moment for _, moment in manager.lines), trio.current_time()]
        assert len(moments) > 6
        await trio.sleep(PATIENCE)
        assert manager.lines[-1][1] > trio.current_time() - 30
        nursery.cancel_scope.cancel()


async def obey_signals_and_reload(failing: Failing, home: Path) -> None:
    """Read the configuration again at each SIGHUP, and stop at a SIGTERM."""
    environ, manager = {"CODEX_HOME": str(home)}, Told()
    accepting, staying = trio.CancelScope(), trio.CancelScope()
    async with (
        open_signals(accepting, staying, hang_up_ends=False) as hang_ups,
        open_world(store=MemoryStore()) as world,
        trio.open_nursery() as nursery,
    ):
        reloader = Reloader(load(environ), world.services, environ, manager, "serving")
        nursery.start_soon(supervise, "reloading", reloader.serve, hang_ups)
        await trio.sleep(1)
        failing.arm()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
            await trio.sleep(PATIENCE)
        failing.disarm()
        before = len(manager.lines)
        os.kill(os.getpid(), signal.SIGHUP)
        await trio.sleep(PATIENCE)
        assert [line for line, _ in manager.lines[before:]] == ["RELOADING=1", "READY=1"]
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep(PATIENCE)
        assert accepting.cancel_called
        nursery.cancel_scope.cancel()


SCENES: Final = {
    scene.__name__: scene
    for scene in (
        keep_an_account,
        log_in_with_a_code,
        log_in_with_a_browser,
        feed_a_watchdog,
        obey_signals_and_reload,
        *([watch_a_file] if sys.platform == "linux" else []),
    )
}


def play(
    name: str, failure: str, nth: int, home: Path, caplog: pytest.LogCaptureFixture, *, calls: bool
) -> str | None:
    """Have one failure in a scene, and give where it was; None if there is no such place."""
    caplog.clear()
    failing = Failing(failure, nth, calls=calls)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with deterministic(0):
        try:
            trio.run(
                SCENES[name],
                failing,
                home,
                clock=trio.testing.MockClock(autojump_threshold=0),
                instruments=[failing],
            )
        except BaseException as error:
            error.add_note(f"{failure} as number {nth}, at {failing.struck}")
            raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    assert SECRET not in caplog.text, failing.struck
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(told) <= 1, failing.struck
    assert all(record.exc_info is None for record in caplog.records)
    return failing.struck


FEW: Final = 13
"""Kinds of failures apart, or places, of those that are tried in each run of the suite; `make faults` tries all."""

STRIDES: Final = [FEW, pytest.param(1, marks=[pytest.mark.whole, pytest.mark.timeout(600)])]


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("name", SCENES)
def test_a_failure_at_any_await(name: str, stride: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At each of them, of each kind."""
    kinds, nth = list(FAILURES), 0
    for nth in itertools.count(1):
        tried = kinds[nth % stride :: stride]
        if not all(play(name, kind, nth, tmp_path, caplog, calls=False) for kind in tried):
            break
    assert nth > 2


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("name", SCENES)
def test_a_failure_in_any_call(name: str, stride: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of our functions; of the kinds, each in its turn."""
    kinds = list(FAILURES)
    for nth in itertools.count(1, stride):
        if not play(name, kinds[nth % len(kinds)], nth, tmp_path, caplog, calls=True):
            break
    assert nth > 1
