"""Blocking work in threads of our own, which can be left behind."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

import anyio

from .background import drop_exception

PATIENCE = 2.0
"""Seconds for which a cancelled call waits until its thread has ended its work."""
FORK_PATIENCE = 2.0
"""Seconds for which a fork waits until no thread is in the middle of work."""

P = ParamSpec("P")
T = TypeVar("T")


class SerialThread:
    """Does blocking work on one thing, such as a file: one call after another, in a thread.

    The thread is daemonic and no other library's: work that hangs keeps neither the process alive
    nor others from running. It can be left behind; then later work waits until it has ended, so
    that no two threads are ever at work on the same thing. The thread ends when there is nothing
    left to do. Any event loop may use this, also in a forked process.
    """

    _waiting: deque[tuple[Future[Any], Callable[[], Any]]]
    _running: bool

    def __init__(self) -> None:
        self._begin_empty()

    async def run(
        self, work: Callable[[], T], *, what: str = "it", within: float | None = None
    ) -> T:
        """Do ``work`` when all earlier work has ended, and return its result.

        A thread can't be stopped. So a cancellation is raised when the work has ended; if that
        takes too long, or this is cancelled again, the thread is left behind. Work that has not
        begun by then is never done.

        Args:
            work: What to do.
            what: What it is, for the error, such as "saving to state.db".
            within: Seconds that it may take, with all the work before it; None: any time.

        Raises:
            TimeoutError: it took longer, and the thread is left behind.
            Exception: what ``work`` raised.
        """
        submitted = self._submit(work)
        future = asyncio.get_running_loop().run_in_executor(_Submitted(submitted), work)
        future.add_done_callback(drop_exception)
        try:
            await asyncio.wait([future], timeout=within)
        except asyncio.CancelledError:
            if not submitted.cancel():
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([future], timeout=PATIENCE)
            raise
        finally:
            submitted.cancel()
            future.cancel()  # also when it is left behind: its loop may be closed when it ends
        if future.cancelled():
            raise TimeoutError(f"{what} did not end within {within:g} s")
        return future.result()

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        if self._process != os.getpid():
            self._begin_empty()
        future: Future[T] = Future()
        with self._lock:
            if not self._running:
                # Where there can't be another thread, this raises, and nothing has changed.
                threading.Thread(target=self._work, name="coachstream", daemon=True).start()
                self._running = True
            left = (one for one in self._waiting if not one[0].cancelled())
            self._waiting = deque([*left, (future, work)])
        return future

    def _begin_empty(self) -> None:
        """Forget all work: a fork copies its state, but not the thread that does it."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._waiting = deque()
        self._running = False

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
                future, work = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    with _forks:
                        result = work()
                except BaseException as error:  # noqa: BLE001  # raised to whoever waits for it
                    future.set_exception(error)
                else:
                    future.set_result(result)


class _Submitted(Executor):
    """Hands work that a thread already has to the event loop, which may count such work."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        del fn, args, kwargs
        return self._future


class _Forks:
    """Lets no fork happen while a thread is in the middle of work, unless it hangs.

    The child would find locks that nobody releases: Python's, SQLite's, those of imports.
    """

    def __init__(self) -> None:
        self._forget()

    def __enter__(self) -> None:
        with self._quiet:
            self._working += 1

    def __exit__(self, *_: object) -> None:
        with self._quiet:
            self._working -= 1
            self._quiet.notify_all()

    def watch(self) -> None:
        os.register_at_fork(
            before=self._before, after_in_parent=self._after, after_in_child=self._forget
        )

    def _before(self) -> None:
        self._quiet.acquire()
        self._quiet.wait_for(lambda: not self._working, FORK_PATIENCE)

    def _after(self) -> None:
        self._quiet.release()

    def _forget(self) -> None:
        self._quiet = threading.Condition()
        self._working = 0


class ForkSafeLock:
    """A lock between threads, which is free in a forked process, whoever held it in the parent."""

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _forget(self) -> None:
        self._lock = threading.Lock()


_forks = _Forks()
if hasattr(os, "register_at_fork"):  # where processes can fork
    _forks.watch()


async def in_thread(work: Callable[[], T]) -> T:
    """Do ``work`` in a thread of its own and return its result, as `SerialThread.run` does."""
    return await SerialThread().run(work)
