"""The tasks of one consumer: none ends unnoticed, and each is cancelled as asyncio does."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from ..tasks import Runtime, cancel_all

Work = Callable[[], Coroutine[Any, Any, None]]


class ConsumerTasks:
    """Plain tasks that run in copies of the caller's context, until `cancel`.

    No task group: it would cancel again and again what is in the middle of its clean-up.
    """

    def __init__(self, *, on_error: Callable[[BaseException], None], runtime: Runtime) -> None:
        caller = asyncio.current_task()
        assert caller is not None
        self.caller = caller
        """The task that called `consume`."""
        self.cancellations = caller.cancelling()
        """How often it had been cancelled before."""
        self._on_error = on_error
        self._runtime = runtime
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped: set[asyncio.Task[None]] = set()
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether all tasks are being cancelled, or the caller has just been cancelled."""
        return self._cancelled or self.caller.cancelling() > self.cancellations

    def start(self, work: Work) -> asyncio.Task[None]:
        """Run ``work`` in a task; what it raises is passed to ``on_error`` at once."""
        task = asyncio.get_running_loop().create_task(self._run(work), context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def _run(self, work: Work) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            if not self.cancelled and asyncio.current_task() not in self._stopped:
                self._on_error(
                    RuntimeError("a CancelledError was raised, and nobody had cancelled")
                )
            raise
        except BaseException as error:
            self._on_error(error)
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._stopped.discard(task)
        if not task.cancelled():
            task.exception()  # which has been passed on

    def stop(self, task: asyncio.Task[None]) -> None:
        """Cancel one task, once; nobody waits for it before `until_ended`."""
        if not task.done() and task not in self._stopped:
            self._stopped.add(task)
            task.cancel()

    def cancel(self) -> None:
        """Cancel all tasks, each once."""
        self._cancelled = True
        for task in tuple(self._tasks):
            self.stop(task)

    async def until_ended(self) -> None:
        """Wait until all cancelled tasks have ended, within a bound."""
        await cancel_all(self._tasks, self._runtime)
