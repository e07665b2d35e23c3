"""An error beside a cancellation or beside another error: which of them comes out."""

import asyncio

import anyio
import pytest

from coachstream.tasks import cancellation_first, close_after
from tests.support.virtual_time import pass_time, virtual


async def fail():
    raise KeyError("x")


@virtual
async def test_an_error_does_not_hide_that_a_task_was_cancelled():
    async def close():
        async with cancellation_first():
            try:
                await pass_time(9)
            finally:
                await fail()

    closing = asyncio.create_task(close())
    await pass_time(1)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await closing
    assert closing.cancelled()
    assert isinstance(raised.value.__cause__, KeyError)


@virtual
async def test_an_error_does_not_hide_that_an_anyio_scope_was_cancelled():
    with anyio.move_on_after(1) as scope:
        async with cancellation_first():
            try:
                await pass_time(9)
            finally:
                await fail()
    assert scope.cancelled_caught


@virtual
async def test_a_scope_that_was_cancelled_before_anything_was_awaited_ends_all_the_same():
    with anyio.CancelScope() as scope:
        async with cancellation_first():
            scope.cancel()
            raise KeyError("x")
    assert scope.cancelled_caught


@virtual
async def test_without_a_cancellation_an_error_comes_out_as_it_is():
    with anyio.move_on_after(1), pytest.raises(KeyError):
        async with cancellation_first():
            await fail()


@virtual
async def test_an_error_comes_before_the_failure_to_close_which_is_a_note():
    error = ValueError("theirs")
    await close_after(error, fail, "the stream")
    assert error.__notes__ == ["closing the stream failed, too: KeyError: 'x'"]
    with pytest.raises(KeyError):
        await close_after(None, fail, "the stream")
