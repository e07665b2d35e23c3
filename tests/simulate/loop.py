"""An event loop on which a seed always gives the same run, byte for byte.

Sets of tasks are iterated in the order of their hashes. These are usually addresses; here they are
numbers.
"""

import asyncio
import gc
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from coachstream.testing import FastForwardLoop

T = TypeVar("T")

_STEP = 1e-6
"""Seconds per iteration, as in the test kit: rounded timers of aiolimiter must fall due."""

_numbers = itertools.count()


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number."""

    def __init__(self, work: Coroutine[Any, Any, Any], **more: Any) -> None:
        self._number = next(_numbers)
        super().__init__(work, **more)

    def __hash__(self) -> int:
        return self._number


class _Loop(FastForwardLoop):
    """A loop of a world without sockets and threads: nothing is asked of the system."""

    call_soon = asyncio.SelectorEventLoop.call_soon

    def __init__(self) -> None:
        super().__init__()
        self._jumping.select = self._jump  # type: ignore[method-assign]  # on purpose

    def _jump(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "there is a timer at least, that of the run's time limit"
        self._jumping.now += _STEP + timeout
        return []


def _create_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any
) -> asyncio.Task[Any]:
    return NumberedTask(work, loop=loop, **more)


def run(
    work: Callable[[], Coroutine[Any, Any, T]], on_error: Callable[[dict[str, Any]], None]
) -> T:
    """Run on virtual time, and collect garbage only where the run calls for it."""
    global _numbers  # noqa: PLW0603  # a run must not depend on the runs before
    _numbers = itertools.count()
    with _without_automatic_gc(), asyncio.Runner(loop_factory=_Loop) as runner:
        loop = runner.get_loop()
        loop.set_task_factory(_create_task)  # type: ignore[arg-type]  # it accepts any arguments
        loop.set_exception_handler(lambda _, context: on_error(context))
        return runner.run(work())


@contextmanager
def _without_automatic_gc() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
