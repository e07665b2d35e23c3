"""Writes to a pipe whose reader may be slow or gone."""

import asyncio
import os
import select
from collections.abc import Awaitable
from functools import partial
from typing import TextIO, TypeVar

import anyio

from ..clock import SystemClock
from ..tasks import in_thread

CHECK_INTERVAL = 0.5
"""Seconds between two checks of the pipe."""

T = TypeVar("T")


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
        if not hasattr(select, "poll"):  # on Windows
            await in_thread(partial(_write_all, self._descriptor, text))
            return
        await anyio.to_thread.run_sync(self._write, text, abandon_on_cancel=True)

    def _write(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest and not self._stopped:
            if _occurs(self._descriptor, select.POLLOUT, CHECK_INTERVAL):
                rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]


def _write_all(descriptor: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


async def while_read(out: TextIO, work: Awaitable[T]) -> T | None:
    """Await ``work`` and return its result.

    When the reader of ``out`` is gone, as after ``| head``, nobody misses the rest: the work is
    cancelled, what is not flushed is dropped, and the result is None.
    """

    async def watch() -> None:
        while not is_unread(out):
            await SystemClock().sleep(CHECK_INTERVAL)
        scope.cancel()

    with anyio.CancelScope() as scope:
        watching = asyncio.create_task(watch())
        try:
            return await work
        finally:
            watching.cancel()
    discard(out)
    return None


def is_unread(out: TextIO) -> bool:
    """Return whether ``out`` is a pipe that nobody reads any more, where that can be told."""
    return hasattr(select, "poll") and _occurs(out.fileno(), 0, 0)


def discard(out: TextIO) -> None:
    """Drop all that is written to ``out`` from now on, also what is flushed at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, out.fileno())
    os.close(nowhere)


def _occurs(descriptor: int, event: int, seconds: float) -> bool:
    """Return whether ``event`` occurs within ``seconds``; a broken pipe is always ready."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(1000 * seconds))
