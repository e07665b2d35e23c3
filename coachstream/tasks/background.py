"""Tasks that outlive the call that started them, until their owner closes.

A page that is being fetched must survive a time-out around ``__anext__``, so its task can't belong
to that call. Nor can a task group be open while the user's code runs between two sessions. So the
client owns such tasks, and closing it ends them.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

from ..errors import ClosedError

T = TypeVar("T")


class BackgroundTasks:
    """A set of tasks with one owner."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._left_behind: set[asyncio.Future[Any]] = set()
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
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        drop_exception(task)  # whoever started the task sees it, if anyone still waits for it

    def leave_behind(self, task: asyncio.Future[Any]) -> None:
        """Keep a task that ignores its cancellation alive until it ends; nobody waits for it."""
        self._left_behind.add(task)
        task.add_done_callback(self._left_behind.discard)
        task.add_done_callback(drop_exception)

    async def aclose(self) -> None:
        """Cancel all tasks and wait until they have ended; not for those left behind."""
        self._closed = True
        while self._tasks:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.wait(self._tasks)


class DetachedTask(Generic[T]):
    """One task at a time that outlives a wait for it.

    Whoever waits may be cancelled: the task goes on, and the next to wait gets its result.
    """

    def __init__(self, tasks: BackgroundTasks) -> None:
        self._tasks = tasks
        self._task: asyncio.Task[T] | None = None

    @property
    def pending(self) -> bool:
        """Whether there is a task whose result nobody has taken."""
        return self._task is not None

    def begin(self, work: Coroutine[Any, Any, T]) -> None:
        """Start the task before anyone waits for it.

        Raises:
            ClosedError: the owner has closed.
        """
        self._task = self._tasks.start(work)

    async def result(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the running task, or else of what ``start`` begins.

        Raises:
            ClosedError: the task was cancelled, because its owner closed.
        """
        if self._task is None:
            self.begin(start())
        task = self._task
        assert task is not None
        if not task.done():
            await asyncio.wait((task,))
        if self._task is task:
            self._task = None
        if task.cancelled():
            raise ClosedError("it was closed meanwhile")
        return task.result()

    async def cancel(self) -> None:
        """Cancel the task, if there is one, and wait until it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def abandon(self) -> None:
        """Cancel the task without waiting; from any thread, such as a garbage collector's."""
        if self._task is not None:
            with suppress(RuntimeError):  # the loop is closed, and the task with it
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)


def drop_exception(future: asyncio.Future[Any]) -> None:
    """Look at a future's exception, so that asyncio does not log that nobody did."""
    if not future.cancelled():
        future.exception()
