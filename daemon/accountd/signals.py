"""What the daemon is told by signals: to stop, to stop at once, to look at its configuration again."""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import trio

from accountd.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_OURS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_signals(
    accepting: trio.CancelScope, staying: trio.CancelScope, *, hang_up_ends: bool
) -> AsyncIterator[trio.MemoryReceiveChannel[None]]:
    """Obey signals during the block: the first that ends us cancels `accepting`, a second one `staying`.

    Gives each SIGHUP, but where it ends the daemon. After the block they are ignored: the process is ending.
    """
    hang_ups, received = trio.open_memory_channel[None](1)
    # Who runs us on a terminal has closed it; a service manager means something else.
    ends = {signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hang_up_ends or sys.stderr.isatty() else [])}

    async def obey(signals: AsyncIterator[int]) -> None:
        async for number in signals:
            if number in ends:
                (staying if accepting.cancel_called else accepting).cancel()
                _log.info("stopping on %s", signal.Signals(number).name)
            else:
                with suppress(trio.WouldBlock):  # the one that waits will see what this one means, too
                    hang_ups.send_nowait(None)

    with trio.open_signal_receiver(*_OURS) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervise, "obeying signals", obey, signals)
            with hang_ups, received:
                yield received
            nursery.cancel_scope.cancel()
    for number in _OURS:
        signal.signal(number, signal.SIG_IGN)
