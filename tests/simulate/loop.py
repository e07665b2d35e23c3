"""A loop on which one seed gives one run, byte for byte.

Sets of tasks are walked in the order of their hashes, which are addresses; here they are numbers.
"""

import asyncio
import gc
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from coachstream.testing import FastForwardLoop

T = TypeVar("T")

_numbers = itertools.count()


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set is its number."""

    def __init__(self, work: Coroutine[Any, Any, Any], **more: Any) -> None:
        self._number = next(_numbers)
        super().__init__(work, **more)

    def __hash__(self) -> int:
        return self._number


def _numbered(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any
) -> asyncio.Task[Any]:
    return NumberedTask(work, loop=loop, **more)


def run(
    work: Callable[[], Coroutine[Any, Any, T]], complain: Callable[[dict[str, Any]], None]
) -> T:
    """Run on virtual time, with garbage collected only where the run asks for it."""
    global _numbers  # noqa: PLW0603  # each run counts anew, or it would depend on those before
    _numbers = itertools.count()
    with _garbage_waits(), asyncio.Runner(loop_factory=FastForwardLoop) as runner:
        loop = runner.get_loop()
        loop.set_task_factory(_numbered)  # type: ignore[arg-type]  # it takes more than it needs
        loop.set_exception_handler(lambda _, context: complain(context))
        return runner.run(work())


@contextmanager
def _garbage_waits() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()  # what was there before is not looked through each time
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
