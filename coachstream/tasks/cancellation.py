"""Errors that come together with a cancellation."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


@contextmanager
def cancellation_first() -> Iterator[None]:
    """Let an error in here not hide that the current task is being cancelled: raise that."""
    try:
        yield
    except Exception as error:
        if _being_cancelled():
            raise asyncio.CancelledError from error
        raise


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    by_anyio = anyio.current_effective_deadline() == float("-inf")
    return by_anyio or (task is not None and task.cancelling() > 0)
