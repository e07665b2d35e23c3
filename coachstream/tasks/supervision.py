"""Waiting for what others wrote: stores, ledgers, token providers, handlers and other callbacks.

Their code may hang, raise anything, or raise a cancellation that nobody asked for. Every wait for
it goes through here, so that it is bounded, reported, and cancelled as asyncio does: once, with
time for its clean-up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import anyio

from ..telemetry import CallOverdue, CallReturned
from .background import drop_exception
from .runtime import Runtime

T = TypeVar("T")

OVERDUE = 30.0
"""Seconds after which a call that has not returned is reported."""
CLEANUP = 5.0
"""Seconds that a cancelled call may take for its clean-up before it is cancelled again."""


async def supervised(
    call: Callable[[], Awaitable[T]],
    what: str,
    runtime: Runtime,
    *,
    within: float | None = None,
    finish_within: float = 0.0,
) -> T:
    """Return what ``call`` returns. It runs in a task of its own, in a copy of this context.

    Args:
        call: What to await.
        what: What is awaited, for events and errors, such as "saving 'payroll'".
        runtime: Where events go, and tasks that are left behind.
        within: Seconds after which the call is cancelled; None: it may take any time.
        finish_within: Seconds for which the call goes on when this task is cancelled, because half
            of its work would be worse than none. What it returns then is lost.

    Raises:
        TimeoutError: the call did not return in time. Its cause is what the call raised instead.
        RuntimeError: it raised a ``CancelledError``, though nobody had cancelled it, or a
            ``StopAsyncIteration``, which would end a loop as if there were no more sessions.
        asyncio.CancelledError: this task was cancelled. The call has ended, or is left behind.
        Exception: what the call raised.
    """
    task = _start(call)
    _Watch(what, runtime, task)
    try:
        await asyncio.wait((task,), timeout=within)
    except asyncio.CancelledError:
        if finish_within:
            await _until_done((task,), finish_within)
        await cancel_all((task,), runtime)
        raise
    except GeneratorExit:  # nobody waits any more, and nothing can be awaited here
        task.cancel()
        runtime.tasks.leave_behind(task)
        raise
    if not task.done():
        await cancel_all((task,), runtime)
        late = not task.done() or task.cancelled()
        if late or task.exception() is not None:
            cause = None if late else task.exception()
            raise TimeoutError(f"{what} did not end within {within:g} s") from cause
    return _result(task, what)


async def close_all(
    closers: Iterable[Callable[[], Awaitable[None]]], runtime: Runtime, *, within: float
) -> None:
    """Close several things at the same time, within one bound, whatever hangs.

    What hangs is cancelled and left behind. Cancellations of this task are raised when all is over.

    Raises:
        TimeoutError: something did not close in time.
        Exception: the first failure; everything else is closed all the same.
    """
    tasks = [_start(closer) for closer in closers]
    cancelled = await _until_done(tasks, within)
    failures: list[Exception] = []
    for task in tasks:
        if not task.done():
            task.cancel()
            runtime.tasks.leave_behind(task)
            failures.append(TimeoutError(f"closing did not end within {within:g} s"))
            continue
        try:
            _result(task, "closing")
        except Exception as error:  # noqa: BLE001  # raised below, after the others
            failures.append(error)
    # A failure says more than that something else hung.
    failures.sort(key=lambda failure: isinstance(failure, TimeoutError))
    if cancelled:
        raise asyncio.CancelledError from (failures[0] if failures else None)
    if failures:
        raise failures[0]


def _start(call: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
    task = asyncio.get_running_loop().create_task(_awaited(call))
    task.add_done_callback(drop_exception)  # it is raised to whoever waits, if anyone still does
    return task


def _result(task: asyncio.Task[T], what: str) -> T:
    if task.cancelled():
        raise RuntimeError(f"{what} raised CancelledError, but nothing had cancelled it")
    try:
        return task.result()
    except StopAsyncIteration as stop:
        raise RuntimeError(f"{what} raised StopAsyncIteration") from stop


async def cancel_all(tasks: Iterable[asyncio.Task[Any]], runtime: Runtime) -> None:
    """Cancel tasks, give them time for their clean-up, cancel them again, and leave them behind.

    A task that is being cancelled already is not interrupted in its clean-up. Cancellations of this
    task are raised when that is over.
    """
    pending, cancelled = [task for task in tasks if not task.done()], False
    for is_first in (True, False):
        for task in pending:
            if not (is_first and task.cancelling()):
                task.cancel()
        cancelled |= await _until_done(pending, CLEANUP)
        pending = [task for task in pending if not task.done()]
    for task in pending:
        runtime.tasks.leave_behind(task)
    if cancelled:
        raise asyncio.CancelledError


class _Watch:
    """Reports a call that is overdue, and later that it has ended."""

    def __init__(self, what: str, runtime: Runtime, task: asyncio.Task[Any]) -> None:
        self._what = what
        self._runtime = runtime
        self._loop = task.get_loop()
        self._began = self._loop.time()
        self._reported = False
        self._timer = self._loop.call_later(OVERDUE, self._report)
        task.add_done_callback(self._end)

    def _report(self) -> None:
        self._reported = True
        self._runtime.observe(CallOverdue(what=self._what, seconds=OVERDUE))

    def _end(self, _: asyncio.Task[Any]) -> None:
        self._timer.cancel()
        if self._reported:
            seconds = self._loop.time() - self._began
            self._runtime.observe(CallReturned(what=self._what, seconds=seconds))


async def _awaited(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


async def _until_done(futures: Iterable[asyncio.Future[Any]], seconds: float) -> bool:
    """Wait, however often this task is cancelled meanwhile; return whether it was."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    cancelled = False
    with anyio.CancelScope(shield=True):
        while (left := deadline - loop.time()) > 0 and (
            pending := [future for future in futures if not future.done()]
        ):
            try:
                await asyncio.wait(pending, timeout=left)
            except asyncio.CancelledError:
                cancelled = True
    return cancelled
