"""Blocking work in threads of our own, which can be left behind."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from threading import Thread
from typing import Any, ParamSpec, TypeVar

import anyio

from .background import drop_exception

PATIENCE = 5.0
"""Seconds for which a cancelled call waits until its thread has ended its work."""

P = ParamSpec("P")
T = TypeVar("T")


class _DaemonThreads(Executor):
    """Starts a daemonic thread for each call.

    A call that hangs then keeps neither the process alive nor others from running, as it would in
    the pools of asyncio and anyio. Starting a thread costs little beside a disk's sync.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        work = partial(fn, *args, **kwargs)
        Thread(target=_run, args=(future, work), name="coachstream", daemon=True).start()
        return future


def _run(future: Future[Any], work: Callable[[], Any]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # raised to whoever waits for the result
            future.set_exception(error)


_threads = _DaemonThreads()


async def in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread and return its result.

    A thread can't be stopped. So a cancellation is raised when the work has ended, and nothing is
    still running afterwards. If that takes too long, or this is cancelled again, the thread is left
    behind.
    """
    future = asyncio.get_running_loop().run_in_executor(_threads, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(drop_exception)
        with anyio.CancelScope(shield=True):
            await asyncio.wait([future], timeout=PATIENCE)
        raise
