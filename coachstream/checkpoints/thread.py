"""Blocking work, off the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Return what ``work`` returns, having run it in a worker thread.

    A thread can't be stopped. So a cancellation comes out when the work is over, and whoever looks
    then finds it done or not done, and nothing still going on. A second one does not wait.
    """
    task = asyncio.ensure_future(anyio.to_thread.run_sync(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_forget)
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        raise


def _forget(task: asyncio.Task[T]) -> None:
    # Nobody is left to be told of a failure, and asyncio need not say so.
    if not task.cancelled():
        task.exception()
