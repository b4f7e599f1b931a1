"""What of an organisation's requirements outlives the daemon, in a file that may be lost or spoiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.errors import RequestFailed, RequirementsUnavailable
from accountd.requirements.file import TTL
from accountd.sandbox import Claims
from fakes.office import open_scene, told

if TYPE_CHECKING:
    from pathlib import Path

    import trio
    import trio.testing


def modes(folder: Path) -> dict[str, int]:
    """Give the files of a folder, with who may do what to them."""
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_a_restart_without_a_network_keeps_the_requirements(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """The file has them for its owner alone to read, however old, for the same account and no other."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
    assert modes(tmp_path) == {"accountd-requirements.json": 0o600}
    async with open_scene(tmp_path, None) as scene:
        scene.world.clock.jump(30 * 86_400)
        await scene.log_in_elsewhere()
        await scene.service.require()
        assert told(scene.service.known()) == {"allowAppshots": True}
        await scene.log_in_elsewhere(Claims(plan="business", account_id="other"))
        with pytest.raises(RequestFailed):
            await scene.service.require()


async def test_a_new_login_does_not_live_on_old_requirements(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Fresh ones are used from the file; for older ones the backend has to be there, as for the login itself."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
    async with open_scene(tmp_path, None) as scene:
        await scene.load()
        assert scene.office.asked_at == []
        scene.world.clock.jump(TTL + 1)
        with pytest.raises(RequirementsUnavailable):
            await scene.load()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"\xff",
        b"[" * 100_000,
        b'{"owner":{"user_id":null,"account_id":null},"fetched_at":0,"bundle":1}',
    ],
)
async def test_a_file_that_cannot_be_used_is_as_good_as_none(
    content: bytes, autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Whatever is in it, the backend is asked, and the file is whole again."""
    path = tmp_path / "accountd-requirements.json"
    path.write_bytes(content)
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        assert len(scene.office.asked_at) == 1
    assert b"allow_appshots" in path.read_bytes()


async def test_a_file_of_an_owner_with_a_bad_bundle_is_as_good_as_none(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """What an older release could read, this one may refuse; then it asks."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
    path = tmp_path / "accountd-requirements.json"
    path.write_text(path.read_text().replace("allow_appshots = true", "allow_appshots = 5"))
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        assert len(scene.office.asked_at) == 1


async def test_a_disk_that_takes_nothing_costs_the_file_alone(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Requirements are in memory, and the log says what is wrong."""
    async with open_scene(tmp_path / "missing") as scene:
        await scene.log_in()
        assert told(scene.service.known()) == {"allowAppshots": True}
    assert "accountd-requirements.json cannot be written: No such file or directory" in caplog.text
