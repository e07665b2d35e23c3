"""Errors that come together with a cancellation, or with another error."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio

from ..brief import worded_error


@contextmanager
def cancellation_first() -> Iterator[None]:
    """Let an error in here not hide that the current task is being cancelled: raise that."""
    try:
        yield
    except Exception as error:
        if _being_cancelled():
            raise asyncio.CancelledError from error
        raise


async def close_after(
    error: BaseException | None, close: Callable[[], Awaitable[None]], what: str
) -> None:
    """Close at the end of an ``async with``, which ``error`` may have ended.

    Raises:
        Exception: closing failed, and there is no ``error``; otherwise that gets a note.
    """
    try:
        await close()
    except Exception as failure:
        if error is None:
            raise
        error.add_note(f"closing {what} failed, too: {worded_error(failure)}")


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    by_anyio = anyio.current_effective_deadline() == float("-inf")
    return by_anyio or (task is not None and task.cancelling() > 0)
