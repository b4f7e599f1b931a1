"""What the daemon is told of a front."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import trio
import trio.testing

from accountd.client.errors import CallFailed
from accountd.client.notifications import Gap
from accountd.front.report import Report
from accountd.protocol.status import AgentStatus, AppServerStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Scene:
    """A daemon and a feed, as much of each as is asked."""

    def __init__(self) -> None:
        self.is_connected = True
        self.agents: tuple[AgentStatus, ...] = ()
        self.told: list[tuple[tuple[str, ...], tuple[AgentStatus, ...]]] = []
        self.gap, self.heard = trio.open_memory_channel[Gap](1)

    def describe_agents(self) -> tuple[AgentStatus, ...]:
        """See Feed."""
        return self.agents

    async def report_app_server(self, report: AppServerStatus) -> None:
        """See Client; it is of an older version."""
        await trio.lowlevel.checkpoint()
        assert report.pid == os.getpid()
        self.told.append((report.sockets, report.agents))
        raise CallFailed(-32600, "unknown variant", None)

    async def notifications(self) -> AsyncIterator[Gap]:
        """See Client."""
        async for gap in self.heard:
            yield gap


async def test_each_change_is_told_and_all_to_another_daemon() -> None:
    """Sockets, the agents; a daemon that is not there hears nothing."""
    scene, report = Scene(), Report()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(report.follow, scene, scene)  # type: ignore[arg-type]  # as much as is used
        await trio.testing.wait_all_tasks_blocked()
        with report.listening(Path("/s")):
            await trio.testing.wait_all_tasks_blocked()
            scene.agents = agents = (AgentStatus(7, "0.171.0", "chatgpt"),)
            report.change()
            await trio.testing.wait_all_tasks_blocked()
        await trio.testing.wait_all_tasks_blocked()
        assert scene.told == [((), ()), (("/s",), ()), (("/s",), agents), ((), agents)]
        scene.is_connected = False
        report.change()
        await trio.testing.wait_all_tasks_blocked()
        assert len(scene.told) == 4
        scene.is_connected = True
        scene.gap.send_nowait(Gap())
        await trio.testing.wait_all_tasks_blocked()
        assert scene.told[4:] == [((), agents)]
        nursery.cancel_scope.cancel()
