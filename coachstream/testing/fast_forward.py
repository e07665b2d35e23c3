"""Time that flies: an event loop that jumps to its next timer when nothing else is left to do.

Sockets stay real, so the library and an `Emulator` meet on such a loop as they would in service,
and an hour of waiting takes no longer than what happens in it.
"""

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import Executor
from contextvars import Context
from datetime import datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple

import anyio

from coachstream.emulator.world import BIRTHDAY

T = TypeVar("T")
Args = TypeVarTuple("Args")

_CREEP = 1e-6
"""aiolimiter sets timers that rounding turns into "now": time that stood still would spin."""
_SETTLE = 0.0005
"""Real seconds in which bytes under way on loopback may still arrive before time jumps."""
_PATIENCE = 1.0
"""Real seconds that a worker thread may need before time jumps all the same: it may itself wait for
something that only time brings."""


class _JumpingSelector(selectors.BaseSelector):
    """Instead of waiting, moves the time on."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0
        self.stirred = True
        """Whether anything ran since the last jump that may have written to a socket."""
        self.executing = 0
        self.limiter: anyio.CapacityLimiter | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += _CREEP
        if timeout is None:
            return self._real.select(None)  # no timer is set: only a thread or socket can go on
        ready = self._real.select(min(timeout, self._grace()))
        if ready or timeout <= 0:
            self.stirred = True
        else:
            self.now += timeout
            self.stirred = False
        return ready

    def _grace(self) -> float:
        if self.executing or (self.limiter is not None and self.limiter.borrowed_tokens):
            return _PATIENCE
        has_sockets = len(self._real.get_map()) > 1  # one is the loop's own
        return _SETTLE if has_sockets and self.stirred else 0.0

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

    Use it through `fast_forward`, or wherever a loop factory is asked for::

        with asyncio.Runner(loop_factory=FastForwardLoop) as runner:
            runner.run(main())

    Time passes only when no callback, socket or worker thread (``asyncio.to_thread``,
    ``anyio.to_thread``) has anything to do; then it is at once the time of the next timer. What
    lives in other processes or threads does not take part: it would see time-outs and no waiting.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the seconds that have passed on this loop."""
        return self._jumping.now

    def call_soon(
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        """Call ``callback`` before time passes."""
        self._jumping.stirred = True  # a step of a task, perhaps; bare timers write nothing
        return super().call_soon(callback, *args, context=context)

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until ``future`` is done, and return what it returns."""
        if self._jumping.limiter is None:
            self._jumping.limiter = super().run_until_complete(_thread_limiter())
        return super().run_until_complete(future)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args
    ) -> asyncio.Future[T]:
        """Run a blocking function in a thread, during which time stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.executing += 1
        future.add_done_callback(self._executed)
        return future

    def _executed(self, _: asyncio.Future[Any]) -> None:
        self._jumping.executing -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109  # as its base class
        """Wait for the threads, however long; a time-out would be over at once."""
        await super().shutdown_default_executor()


async def _thread_limiter() -> anyio.CapacityLimiter:
    return anyio.to_thread.current_default_thread_limiter()


class LoopClock:
    """The running loop's time as a `coachstream.Clock`.

    Give it to ``Client(clock=…)`` and ``consume(clock=…)``, so that they live by a
    `FastForwardLoop`, too.

    Args:
        birth: The time of day at second 0 of the loop; by default that at which a `World` is born
            that was not told otherwise, so that both agree.
    """

    def __init__(self, birth: datetime = BIRTHDAY) -> None:
        self._birth = birth

    def now(self) -> datetime:
        return self._birth + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # noqa: TID251  # this is the clock


def time_flies() -> bool:
    """Tell whether this is called on a `FastForwardLoop`."""
    try:
        return isinstance(asyncio.get_running_loop(), FastForwardLoop)
    except RuntimeError:
        return False


async def pass_time(time: float | timedelta) -> None:
    """Let virtual time pass, in seconds or as a ``timedelta``; everything due meanwhile happens.

    Raises:
        RuntimeError: the loop is on real time, where this would make a test slow and shaky.
    """
    if not time_flies():
        raise RuntimeError("time passes on a FastForwardLoop only: decorate the test @fast_forward")
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    await asyncio.sleep(seconds)  # noqa: TID251  # see above


def fast_forward(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a `FastForwardLoop` of its own.

    ::

        @fast_forward
        async def test_an_hour_of_silence(tmp_path):
            async with Emulator(quiet_world()) as samsara:
                ...
                await pass_time(3600)

    The test becomes an ordinary function: no pytest plugin for asyncio has a part in it, and its
    fixtures can't be async.
    """

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # whatever the test takes
        with asyncio.Runner(loop_factory=FastForwardLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
