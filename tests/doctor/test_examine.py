"""How checks are run: together, each to its own deadline, and none at the cost of another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NoReturn

import trio

from accountd.doctor.checks import CHECKS
from accountd.doctor.examine import examine, in_thread
from accountd.doctor.findings import Check, Examined, Finding, fail, judge, ok, warn
from accountd.doctor.surroundings import Once
from accountd.errors import ConfigError, StorageError
from fakes.surroundings import surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import trio.testing

    from accountd.doctor.surroundings import Surroundings


async def fine(_: Surroundings) -> Finding:
    """Find nothing wrong, after a second."""
    await trio.sleep(1)
    return ok("fine")


async def test_checks_run_at_once_and_are_told_in_their_order(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Three that take a second each take one together; the order is that of the table."""
    begun = trio.current_time()
    examined = await examine([Check(name, fine) for name in ("c.1", "a.2", "b.3")], surroundings(tmp_path))
    assert trio.current_time() - begun == 1
    assert [each.name for each in examined] == ["c.1", "a.2", "b.3"]
    assert examined[0] == Examined("c.1", ok("fine"), 1.0)


async def test_each_is_told_as_it_ends(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Those that end at once are told in order, and no slow one keeps others to itself for more than a second."""
    told: list[tuple[float, object]] = []

    class Recorder:
        def found(self, examined: Examined) -> None:
            told.append((trio.current_time() - begun, examined.name))

        def waits_for(self, names: Sequence[str]) -> None:
            told.append((trio.current_time() - begun, [*names]))

    def after(seconds: float) -> Check:
        async def look(_: Surroundings) -> Finding:
            await trio.sleep(seconds)
            return ok("fine")

        return Check(f"a.{seconds}", look)

    begun = trio.current_time()
    await examine([after(0.5), after(0), after(5), after(0.25), after(2)], surroundings(tmp_path), Recorder())
    assert told == [
        (0.5, "a.0.5"),
        (0.5, "a.0"),
        (1, "a.0.25"),
        (1, ["a.5", "a.2"]),
        (2, "a.2"),
        (5, "a.5"),
    ]


async def test_one_that_breaks_down_fails_alone_and_quotes_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A bug is a failure with its kind and its place; its words, which may have a secret in them, are not told."""

    async def broken(_: Surroundings) -> NoReturn:
        raise KeyError("sk-canary")

    first, second = await examine([Check("a.broken", broken), Check("a.fine", fine)], surroundings(tmp_path))
    assert first.finding.verdict == "fail"
    assert first.finding.summary.startswith("the check itself failed: KeyError at test_examine.py:")
    assert "sk-canary" not in repr(first)
    assert second.finding == ok("fine")


async def test_one_that_takes_too_long_fails_alone(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A check has so many seconds, and the others do not wait for more than that."""

    async def slow(_: Surroundings) -> Finding:
        await trio.sleep_forever()

    first, second = await examine([Check("a.slow", slow, 3), Check("a.fine", fine)], surroundings(tmp_path))
    assert (first.finding.verdict, first.finding.summary) == ("fail", "no answer within 3 s")
    assert first.seconds == 3
    assert second.finding == ok("fine")


async def test_a_disk_that_hangs_is_left_behind(tmp_path: Path) -> None:
    """What waits for a disk does so in a thread, which its deadline leaves."""
    release = threading.Event()

    def hang(_: Surroundings) -> Finding:
        release.wait(30)
        return ok("late")

    [found] = await examine([Check("a.hangs", in_thread(hang), 0.05)], surroundings(tmp_path))
    release.set()
    assert found.finding.verdict == "fail"


async def test_foreseen_errors_are_told_in_their_own_words(tmp_path: Path) -> None:
    """Ours are for a person; without a configuration, a check says that it could not look."""

    async def stored(_: Surroundings) -> Finding:
        raise StorageError("the disk is on fire")

    async def configured(_: Surroundings) -> Finding:
        raise ConfigError("config.toml:3: no")

    first, second = await examine([Check("a.1", stored), Check("a.2", configured)], surroundings(tmp_path))
    assert (first.finding.verdict, first.finding.summary) == ("fail", "the disk is on fire")
    assert second.finding.verdict == "warn"
    assert "config.load" in (second.finding.remedy or "")


async def test_the_worst_is_the_verdict() -> None:
    """One failure fails all, one warning is told, and nothing to tell is ok."""
    findings = [ok("a"), warn("b", "c"), fail("d", "e")]
    examined = [Examined("x", finding, 0) for finding in findings]
    assert [judge(examined[:length]) for length in range(4)] == ["ok", "ok", "warn", "fail"]


async def test_the_table_has_each_check_once() -> None:
    """Names are of the form category.thing, and no two are the same."""
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(name.count(".") == 1 for name in names)


async def test_what_is_found_out_once_is_asked_once(autojump_clock: trio.testing.MockClock) -> None:
    """Those who ask at the same time share one answer; one who is cancelled leaves the asking to the next."""
    asked = []

    async def find() -> int:
        asked.append(1)
        await trio.sleep(1)
        return len(asked)

    once = Once(find)
    with trio.move_on_after(0.5):
        await once.get()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(once.get)
        nursery.start_soon(once.get)
    assert (await once.get(), len(asked)) == (2, 2)
