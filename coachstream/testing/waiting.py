"""Waiting until something has happened, without guessing how long that takes."""

import asyncio
import time
from collections.abc import Callable

from coachstream import SystemClock

_INTERVAL = 0.01
"""Seconds between two looks."""
WITHIN = 10.0
"""Seconds after which a wait fails, if no others are given."""


async def wait_until(condition: Callable[[], object], *, within: float = WITHIN) -> None:
    """Wait in an async test until ``condition()`` is true; other tasks run meanwhile.

    ::

        consuming = asyncio.create_task(consume(stream, on_session, name="x", store="memory:"))
        await wait_until(lambda: len(handled) == 50)

    On a `FastForwardLoop`, virtual time passes meanwhile. In a test that is not async, use
    ``samsara.wait_until``.

    Raises:
        AssertionError: it is not true within so many seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not condition():
        _check(loop.time() < deadline, within)
        await asyncio.sleep(_INTERVAL)  # noqa: TID251  # no clock is handed to a test


def block_until(condition: Callable[[], object], *, within: float = WITHIN) -> None:
    """Do the same and block this thread.

    Raises:
        AssertionError: it is not true within so many seconds.
    """
    clock = SystemClock()
    deadline = clock.monotonic() + within
    while not condition():
        _check(clock.monotonic() < deadline, within)
        time.sleep(_INTERVAL)


def _check(in_time: bool, within: float) -> None:
    if not in_time:
        raise AssertionError(f"what was waited for is not true within {within:g} s")
