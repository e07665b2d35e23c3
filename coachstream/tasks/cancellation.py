"""Whether the current task is being cancelled."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


def being_cancelled() -> bool:
    """Return whether the current task is being cancelled, by its own code or from outside."""
    return anyio.current_effective_deadline() == float("-inf")


def was_cancelled() -> bool:
    """Return the same much faster, but miss a task that has not noticed yet or has outlived it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextmanager
def cancellation_first() -> Iterator[None]:
    """Let an error in here not hide that the current task is being cancelled: raise that."""
    try:
        yield
    except Exception as error:
        if was_cancelled() or being_cancelled():
            raise asyncio.CancelledError from error
        raise
