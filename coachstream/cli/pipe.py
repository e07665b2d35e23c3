"""Writes to a pipe whose reader may be slow or gone."""

import os
import select
from collections.abc import Callable

import anyio

from ..clock import SystemClock

CHECK_INTERVAL = 0.5
"""Seconds between two checks of the pipe."""


class PipeWriter:
    """Writes to a file descriptor in a thread that can always be stopped.

    A thread blocked in a write to a full pipe would keep the process alive. So each write is no
    larger than what a pipe accepts without blocking when ``poll`` reports it ready.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._stopped = False

    def stop(self) -> None:
        """Make the thread of a cancelled write end soon."""
        self._stopped = True

    async def write(self, text: bytes) -> None:
        """Write all of ``text``; raises BrokenPipeError if the reader has closed the pipe."""
        await anyio.to_thread.run_sync(self._write, text, abandon_on_cancel=True)

    def _write(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest and not self._stopped:
            if self._ready(select.POLLOUT, CHECK_INTERVAL):
                rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]

    async def watch_reader(self, on_closed: Callable[[], None]) -> None:
        """Call ``on_closed`` once the reader has closed the pipe, even if nothing is written."""
        while not self._ready(0, 0):
            await SystemClock().sleep(CHECK_INTERVAL)
        on_closed()

    def _ready(self, event: int, seconds: float) -> bool:
        """Return whether ``event`` occurs within ``seconds``; a broken pipe is always ready."""
        poll = select.poll()
        poll.register(self._descriptor, event)
        return bool(poll.poll(1000 * seconds))
