"""Errors that come together with a cancellation, or with another error."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from ..brief import worded_error


@asynccontextmanager
async def cancellation_first() -> AsyncIterator[None]:
    """Let an error in here not hide that the current task is being cancelled: raise that."""
    try:
        yield
    except Exception as error:
        try:
            await _raise_cancellation()
        except asyncio.CancelledError as cancelled:
            raise cancelled from error
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


async def _raise_cancellation() -> None:
    """Raise the cancellation of the current task, if it is being cancelled."""
    if anyio.current_effective_deadline() == float("-inf"):
        await anyio.sleep_forever()  # a scope of anyio's ends by no cancellation but its own
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
