"""A pipe to write to whose reader may be slow, or gone."""

import os
import select
from collections.abc import Callable

import anyio

from ..clock import SystemClock

LOOK_AGAIN = 0.5
"""Seconds between two looks at whether anybody still reads."""


class PipeWriter:
    """A file descriptor, written by a thread that can always be stopped.

    A thread blocked in a write to a pipe that nobody empties would keep the process alive. So it
    writes no more at a time than a pipe takes at once when ``poll`` calls it ready.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._stopped = False

    def stop(self) -> None:
        """Have a write that was cancelled end soon."""
        self._stopped = True

    async def write(self, text: bytes) -> None:
        """Write all of it; raises BrokenPipeError when nobody reads any more."""
        await anyio.to_thread.run_sync(self._write, text, abandon_on_cancel=True)

    def _write(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest and not self._stopped:
            if self._ready(select.POLLOUT, LOOK_AGAIN):
                rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]

    async def when_unread(self, leave: Callable[[], None]) -> None:
        """Call ``leave`` once nobody reads any more, though nothing may be there to write."""
        while not self._ready(0, 0):
            await SystemClock().sleep(LOOK_AGAIN)
        leave()

    def _ready(self, what: int, seconds: float) -> bool:
        """Tell whether ``what`` is possible within so many seconds; a broken pipe always is."""
        poll = select.poll()
        poll.register(self._descriptor, what)
        return bool(poll.poll(1000 * seconds))
