"""Lines on their way to stderr: written by a thread, so that nobody waits for whoever reads them, or does not.

A pipe that nobody reads takes 64 KiB, and then whoever writes to it waits for ever; so do a terminal that is held
with Ctrl-S, and a file on a server that is gone. To make the descriptor non-blocking would do so to everybody who
has it, such as the program that started us. A thread that waits for a lock costs nothing but its stack.

What is too much meanwhile is left out and counted, and the count is told when it goes on.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAITING: Final = 256 * 1024
"""Bytes of lines that wait; of the last line none is cut."""

_STACK: Final = 256 * 1024
"""Bytes of the thread's stack; the usual eight megabytes count against the limits of some who start us."""


_PAUSE: Final = 1.0
"""Seconds after which it is tried again."""


class LineWriter:
    """Writes to a descriptor. `put` never waits, and may be called in any thread.

    Called in the writer's thread alone are `prepare`, before so many bytes are written; `render_lost`, for a line
    that tells of so many lines; and `on_idle`, when all is written: it gives the seconds after which it is to be
    called again if nothing comes, or None.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        prepare: Callable[[int], None],
        render_lost: Callable[[int], bytes],
        on_idle: Callable[[], float | None],
    ) -> None:
        self._descriptor = descriptor
        self._prepare = prepare
        self._render_lost = render_lost
        self._on_idle = on_idle
        self._changed = threading.Condition()
        self._lines: list[bytes] = []
        self._size = 0
        self._lost = 0
        self._woken = False
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, line: bytes) -> None:
        """Have a line written, or count it as lost if too much waits. Never waits and never raises."""
        with self._changed:
            if self._size >= MAX_WAITING:
                self._lost += 1
                return
            self._lines.append(line)
            self._size += len(line)
        self.wake()

    def wake(self) -> None:
        """Have `on_idle` asked again for how long there is nothing to do."""
        if self._thread is None:
            self._start()
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Let the thread end when it has written what there is. Nothing is to be put any more."""
        self._closed = True
        self.wake()

    def flush(self, timeout: float) -> bool:
        """Wait until all is written, for so many seconds at most; say whether it is."""
        with self._changed:
            if self._thread is not None:
                return self._changed.wait_for(lambda: not self._lines and not self._busy, timeout)
        return self._write_here(time.monotonic() + timeout)

    def _start(self) -> None:
        before = threading.stack_size(_STACK)
        try:
            thread = threading.Thread(target=self._run, name="log", daemon=True)
            thread.start()
            self._thread = thread
        except RuntimeError:  # no thread can be had now: what waits is tried with the next line
            pass
        finally:
            threading.stack_size(before)

    def _run(self) -> None:
        while not self._closed:
            try:
                self._go_on(self._on_idle())
            except Exception:  # noqa: BLE001 - memory may be short: a line is lost, and the log goes on
                time.sleep(_PAUSE)

    def _go_on(self, pause: float | None) -> None:
        """Wait for something to do, and do it."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._woken, pause)
            lines, lost = self._take()
            self._busy = True
        try:
            self._write(lines, lost)
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _take(self) -> tuple[list[bytes], int]:
        taken = self._lines, self._lost
        self._lines, self._size, self._lost, self._woken = [], 0, 0, False
        return taken

    def _write(self, lines: list[bytes], lost: int) -> None:
        number = len(lines) + lost
        if lost:
            lines.append(self._render_lost(lost))
        if not lines:
            return
        data = memoryview(b"".join(lines))
        try:
            self._prepare(len(data))
            while data:
                data = data[self._write_some(data) :]
        except OSError:  # nobody reads any more, or the disk is full
            with self._changed:
                self._lost += number

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # somebody else who has it made it so
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            poll.poll()
            return 0

    def _write_here(self, deadline: float) -> bool:
        """Write what there is as far as that needs no waiting beyond the deadline: there is no thread for it."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        with self._changed:
            lines, _ = self._take()
        for line in lines:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return False
            self._write([line], 0)
        return True
