"""Virtual time: an event loop that jumps to its next timer when nothing else is left to do.

Sockets are real, so the library and an `Emulator` work on such a loop as in production. An hour of
waiting takes only as long as the work in it.
"""

import asyncio
import functools
import os
import selectors
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import Executor
from contextvars import Context
from datetime import datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple

import anyio

from coachstream.emulator.world import DEFAULT_START

T = TypeVar("T")
Args = TypeVarTuple("Args")

_STEP = 1e-6
"""Seconds added per iteration. aiolimiter sets timers that rounding turns into "now", and the loop
would spin on them if its time stood still."""
_SOCKET_GRACE = 0.0005
"""Real seconds to wait for bytes in flight on loopback before time jumps, except on Linux."""
_THREAD_GRACE = 1.0
"""Real seconds to wait for a worker thread before time jumps anyway: the thread may itself wait for
a timer of the loop."""


class _JumpingSelector(selectors.BaseSelector):
    """A selector that advances the time instead of waiting."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0
        self.may_have_written = True
        """Whether something that may have written to a socket ran since the last jump."""
        self.executor_jobs = 0
        self.limiter: anyio.CapacityLimiter | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += _STEP
        if timeout is None:
            return self._real.select(None)  # without timers, only threads or sockets go on
        ready = self._real.select(0)
        if not ready and timeout > 0:
            ready = self._real.select(min(timeout, self._grace()))
        if ready or timeout <= 0:
            self.may_have_written = True
        else:
            self.now += timeout
            self.may_have_written = False
        return ready

    def _grace(self) -> float:
        if self.executor_jobs or (self.limiter is not None and self.limiter.borrowed_tokens):
            return _THREAD_GRACE
        has_sockets = len(self._real.get_map()) > 1  # one is the loop's own
        if not has_sockets or not self.may_have_written:
            return 0.0
        if sys.platform != "linux":
            return _SOCKET_GRACE
        # Bytes have arrived when the call that writes them returns, or when the kernel's own
        # thread for them has had its turn.
        os.sched_yield()
        return 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: ANN401  # as its base class
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:  # noqa: ANN401  # likewise
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: ANN401  # likewise
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class FastForwardLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which starts at 0.

    Use it through `fast_forward`, or as a loop factory::

        with asyncio.Runner(loop_factory=FastForwardLoop) as runner:
            runner.run(main())

    Time passes only when no callback, socket or worker thread (``asyncio.to_thread``,
    ``anyio.to_thread``) has anything to do; it then jumps to the next timer. The loop does not wait
    for other processes and threads, so requests to them may time out at once.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jumping.now

    def call_soon(
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        """Call ``callback`` before time jumps."""
        self._jumping.may_have_written = True  # may be a task's step; bare timers write nothing
        return super().call_soon(callback, *args, context=context)

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until ``future`` is done, and return its result."""
        if self._jumping.limiter is None:
            self._jumping.limiter = super().run_until_complete(_thread_limiter())
        return super().run_until_complete(future)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args
    ) -> asyncio.Future[T]:
        """Run a blocking function in a thread, while time stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.executor_jobs += 1
        future.add_done_callback(self._executor_job_done)
        return future

    def _executor_job_done(self, _: asyncio.Future[Any]) -> None:
        self._jumping.executor_jobs -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109  # as its base class
        """Wait for the threads without a time-out, which would expire at once."""
        await super().shutdown_default_executor()


async def _thread_limiter() -> anyio.CapacityLimiter:
    return anyio.to_thread.current_default_thread_limiter()


class LoopClock:
    """The running loop's time as a `coachstream.Clock`.

    Pass it to ``Client(clock=…)`` and ``consume(clock=…)``, so that they use the time of a
    `FastForwardLoop`, too.

    Args:
        start: The date and time at second 0 of the loop; by default that of a `World` made without
            ``now``, so that both agree.
    """

    def __init__(self, start: datetime = DEFAULT_START) -> None:
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # noqa: TID251  # this is the clock


def on_virtual_time() -> bool:
    """Return whether the running loop is a `FastForwardLoop`."""
    try:
        return isinstance(asyncio.get_running_loop(), FastForwardLoop)
    except RuntimeError:
        return False


async def pass_time(time: float | timedelta) -> None:
    """Let ``time`` pass, in seconds or as a ``timedelta``, and run everything that falls due.

    Raises:
        RuntimeError: the loop runs in real time, where this would make a test slow and unreliable.
    """
    if not on_virtual_time():
        raise RuntimeError("pass_time needs a FastForwardLoop: decorate the test @fast_forward")
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    await asyncio.sleep(seconds)  # noqa: TID251  # virtual time


def fast_forward(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a `FastForwardLoop` of its own.

    ::

        @fast_forward
        async def test_an_hour_of_silence(tmp_path):
            async with Emulator(quiet_world()) as samsara:
                ...
                await pass_time(3600)

    The test becomes an ordinary function: it needs no asyncio plugin of pytest, and its fixtures
    can't be async.
    """

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # whatever the test takes
        with asyncio.Runner(loop_factory=FastForwardLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
