"""Runs blocking work off the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` in a worker thread and return its result.

    A thread can't be stopped. So a cancellation is raised when the work has ended, and nothing is
    still running afterwards. A second cancellation does not wait.
    """
    task = asyncio.ensure_future(anyio.to_thread.run_sync(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_drop_error)
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        raise


def _drop_error(task: asyncio.Task[T]) -> None:
    # The caller is gone. Reading the exception keeps asyncio from logging it.
    if not task.cancelled():
        task.exception()
