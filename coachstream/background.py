"""Tasks that outlive the call that started them, until their owner closes.

A page that is being fetched must survive a time-out around ``__anext__``, so its task can't belong
to that call. Nor can a task group be open while the user's code runs between two sessions. So the
client owns such tasks, and closing it ends them.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .errors import ClosedError

T = TypeVar("T")


class Background:
    """A set of tasks with one owner."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` until it ends or the owner closes.

        Raises:
            ClosedError: the owner has closed.
        """
        if self._closed:
            work.close()
            raise ClosedError("the client is closed")
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever started it asks for its failure, if anyone still does; either way it was
            # announced as an event, and asyncio need not warn that nobody looked.
            task.exception()

    async def aclose(self) -> None:
        """Cancel what runs and wait for its end."""
        self._closed = True
        while self._tasks:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.wait(self._tasks)
