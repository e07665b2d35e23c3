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
            of its work would be worse than none.

    Raises:
        TimeoutError: the call did not return in time.
        RuntimeError: it raised a ``CancelledError``, though nobody had cancelled it, or a
            ``StopAsyncIteration``, which would end a loop as if there were no more sessions.
        asyncio.CancelledError: this task was cancelled. The call has ended, or is left behind.
        Exception: what the call raised.
    """
    task = asyncio.ensure_future(_awaited(call))
    watch = _Watch(what, runtime)
    try:
        await asyncio.wait((task,), timeout=within)
        if not task.done():
            await _cancel(task, runtime)
            if not task.done() or task.cancelled():
                raise TimeoutError(f"{what} did not end within {within:g} s")
    except asyncio.CancelledError:
        if finish_within:
            await _until_done((task,), finish_within)
        await _cancel(task, runtime)
        raise
    finally:
        watch.end()
    if task.cancelled():
        raise RuntimeError(f"{what} raised CancelledError, but nothing had cancelled it")
    try:
        return task.result()
    except StopAsyncIteration as stop:
        raise RuntimeError(f"{what} raised StopAsyncIteration") from stop


async def close_all(closers: Iterable[Callable[[], Awaitable[None]]], *, within: float) -> None:
    """Close several things at the same time, within one bound, whatever hangs.

    Cancellations of this task are raised when that is over.

    Raises:
        TimeoutError: something did not close in time.
        Exception: the first failure; everything else is closed all the same.
    """
    tasks = [asyncio.ensure_future(_awaited(closer)) for closer in closers]
    for task in tasks:
        task.add_done_callback(drop_exception)
    cancelled = await _until_done(tasks, within)
    hung = [task for task in tasks if not task.done()]
    for task in hung:
        task.cancel()
    await asyncio.sleep(0)  # noqa: TID251  # no time passes: only so that they notice
    if cancelled:
        raise asyncio.CancelledError
    for task in tasks:
        if task not in hung and not task.cancelled() and (failure := task.exception()):
            raise failure
    if hung:
        raise TimeoutError(f"closing did not end within {within:g} s")


class _Watch:
    """Reports a call that is overdue, and later that it has returned."""

    def __init__(self, what: str, runtime: Runtime) -> None:
        self._what = what
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._reported = False
        self._timer = self._loop.call_later(OVERDUE, self._report)

    def _report(self) -> None:
        self._reported = True
        self._runtime.observe(CallOverdue(what=self._what, seconds=OVERDUE))

    def end(self) -> None:
        self._timer.cancel()
        if self._reported:
            seconds = self._loop.time() - self._began
            self._runtime.observe(CallReturned(what=self._what, seconds=seconds))


async def _awaited(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


async def _cancel(task: asyncio.Future[Any], runtime: Runtime) -> None:
    """Cancel a call, give it time for its clean-up, cancel it again, and leave it behind."""
    cancelled = False
    for _ in range(2):
        if not task.done():
            task.cancel()
            cancelled |= await _until_done((task,), CLEANUP)
    if not task.done():
        runtime.tasks.leave_behind(task)
    if cancelled:
        raise asyncio.CancelledError


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
