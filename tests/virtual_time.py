"""A loop whose time jumps to the next timer when nothing else is left to do.

Sockets stay real, so a test can run the emulator and the library on it, and days pass in a moment.
"""

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

BIRTH = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""The time of day at second 0."""

_CREEP = 1e-6
"""aiolimiter sets timers that rounding turns into "now": time that stood still would spin."""
_SETTLE = 0.0005
"""Real seconds in which bytes under way on loopback may still arrive before time jumps."""


class _JumpingSelector(selectors.BaseSelector):
    """Instead of waiting, moves the time on."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += _CREEP
        if timeout is None:
            return self._real.select(None)  # no timer is set: only a thread or socket can go on
        has_sockets = len(self._real.get_map()) > 1  # one is the loop's own
        ready = self._real.select(min(timeout, _SETTLE) if has_sockets else 0)
        if not ready:
            self.now += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which starts at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class LoopClock:
    """The running loop's time, as the library's clock."""

    def now(self) -> datetime:
        return BIRTH + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # noqa: TID251  # this is the clock


class LeapingClock(LoopClock):
    """The running loop's time, with a time of day that can be set anew, as a machine's can."""

    def __init__(self) -> None:
        self.leapt = timedelta()

    def now(self) -> datetime:
        return super().now() + self.leapt


async def pass_time(seconds: float) -> None:
    """Let virtual time pass. On real time it would be a sleep, and make a test slow and shaky."""
    assert isinstance(asyncio.get_running_loop(), VirtualLoop)
    await asyncio.sleep(seconds)  # noqa: TID251  # see above


def virtual(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))  # type: ignore[arg-type]  # tests are coroutines

    return run
