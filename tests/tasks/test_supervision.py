"""Waiting for what others wrote: bounded, reported, cancelled once, and closed within one bound."""

import asyncio
import gc
from contextlib import suppress
from contextvars import ContextVar

import anyio
import pytest

from coachstream.tasks import close_all, supervised
from coachstream.tasks.supervision import CLEANUP, OVERDUE
from coachstream.telemetry import CallOverdue, CallReturned
from tests.support.runtimes import new_runtime
from tests.support.virtual_time import LoopClock, pass_time, virtual

NEVER = 1e9


def watched():
    events = []
    return new_runtime(events.append, clock=LoopClock()), events


def loop_time():
    return asyncio.get_running_loop().time()


def hanging():
    """A call that hangs and takes a second for its clean-up, and what is noted after that."""
    cleaned = []

    async def hang():
        try:
            await pass_time(NEVER)
        finally:
            await pass_time(1)
            cleaned.append(True)

    return hang, cleaned


@virtual
async def test_it_returns_what_the_call_returns_or_raises_what_it_raises():
    runtime, events = watched()

    async def answer():
        await pass_time(OVERDUE - 1)
        return 42

    async def fail():
        raise KeyError("x")

    assert await supervised(answer, "asking", runtime) == 42
    with pytest.raises(KeyError):
        await supervised(fail, "asking", runtime)
    assert events == []


@virtual
async def test_an_overdue_call_is_reported_while_it_hangs_and_when_it_returns():
    runtime, events = watched()
    waiting = asyncio.create_task(supervised(lambda: pass_time(100), "asking", runtime))
    await pass_time(OVERDUE + 1)
    assert events == [CallOverdue(what="asking", seconds=OVERDUE)]
    await waiting
    assert isinstance(events[1], CallReturned)
    assert events[1].seconds == pytest.approx(100, abs=1)


@virtual
async def test_a_call_that_does_not_return_in_time_is_cancelled_once_and_may_clean_up():
    runtime, _ = watched()
    cleaned = []

    async def hang():
        try:
            await pass_time(NEVER)
        finally:
            await pass_time(CLEANUP / 2)  # a second cancellation would interrupt this
            cleaned.append(loop_time())

    with pytest.raises(TimeoutError, match="asking did not end within 10 s"):
        await supervised(hang, "asking", runtime, within=10)
    assert cleaned == [pytest.approx(10 + CLEANUP / 2, abs=0.1)]


@virtual
async def test_what_returns_all_the_same_after_its_time_has_returned():
    runtime, _ = watched()

    async def late():
        try:
            await pass_time(NEVER)
        except asyncio.CancelledError:
            return "done"

    assert await supervised(late, "asking", runtime, within=10) == "done"


@virtual
async def test_a_call_that_ignores_every_cancellation_is_left_behind():
    runtime, _ = watched()
    ended = asyncio.Event()

    async def stubborn():
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(TimeoutError):
        await supervised(stubborn, "asking", runtime, within=10)
    assert loop_time() == pytest.approx(10 + 2 * CLEANUP, abs=1)
    ended.set()
    await pass_time(1)
    assert len(asyncio.all_tasks()) == 1


@virtual
async def test_a_cancellation_of_ours_reaches_the_call_once_and_comes_out():
    runtime, _ = watched()
    cancellations = []

    async def hang():
        try:
            await pass_time(NEVER)
        except asyncio.CancelledError:
            cancellations.append(loop_time())
            await pass_time(1)
            raise

    waiting = asyncio.create_task(supervised(hang, "asking", runtime))
    await pass_time(5)
    waiting.cancel()
    await pass_time(0.5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(cancellations) == 1
    assert len(asyncio.all_tasks()) == 1


@virtual
async def test_within_a_cancelled_anyio_scope_the_clean_up_still_runs_to_its_end():
    runtime, _ = watched()
    hang, cleaned = hanging()
    with anyio.move_on_after(5):
        await supervised(hang, "asking", runtime)
    assert cleaned == [True]


@virtual
async def test_what_must_not_be_cut_in_two_finishes_although_we_are_cancelled():
    runtime, _ = watched()
    saved = []

    async def save():
        await pass_time(3)
        saved.append(True)

    waiting = asyncio.create_task(supervised(save, "saving", runtime, finish_within=10))
    await pass_time(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert saved == [True]


@virtual
async def test_what_must_not_be_cut_in_two_is_cut_when_its_bound_is_over():
    runtime, _ = watched()
    waiting = asyncio.create_task(
        supervised(lambda: pass_time(NEVER), "saving", runtime, finish_within=10)
    )
    await pass_time(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert loop_time() == pytest.approx(11, abs=0.1)


@virtual
async def test_a_cancellation_that_nobody_asked_for_is_an_error():
    runtime, _ = watched()

    async def foreign():
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="asking raised CancelledError"):
        await supervised(foreign, "asking", runtime)


@virtual
async def test_stop_async_iteration_is_an_error():
    runtime, _ = watched()

    async def stop():
        raise StopAsyncIteration

    with pytest.raises(RuntimeError, match="asking raised StopAsyncIteration"):
        await supervised(stop, "asking", runtime)


@virtual
async def test_context_variables_are_seen_and_do_not_leak():
    runtime, _ = watched()
    variable = ContextVar("variable", default="nothing")
    variable.set("outside")

    async def call():
        seen = variable.get()
        variable.set("inside")
        return seen

    assert await supervised(call, "asking", runtime) == "outside"
    assert variable.get() == "outside"


@virtual
async def test_everything_is_closed_at_once_within_one_bound_whatever_hangs():
    runtime, _ = watched()
    closed = []

    async def good():
        await pass_time(1)
        closed.append(loop_time())

    async def bad():
        raise OSError("disk")

    async def hung():
        await pass_time(NEVER)

    with pytest.raises(OSError, match="disk"):
        await close_all([hung, hung, bad, good], runtime, within=10)
    assert closed == [pytest.approx(1, abs=0.1)]
    assert loop_time() == pytest.approx(10, abs=0.1)
    with pytest.raises(TimeoutError, match="within 10 s"):
        await close_all([good, hung], runtime, within=10)
    await pass_time(1)
    assert len(asyncio.all_tasks()) == 1


@virtual
async def test_closing_holds_cancellations_until_it_is_over():
    closed = []

    async def slow():
        await pass_time(3)
        closed.append(True)

    closing = asyncio.create_task(close_all([slow], new_runtime(), within=10))
    for _ in range(3):
        await pass_time(0.5)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert closed == [True]


@virtual
async def test_closing_says_what_failed_also_when_it_is_cancelled_or_something_raises_oddly():
    async def fail():
        await pass_time(1)
        raise OSError("not saved")

    async def foreign():
        raise asyncio.CancelledError

    closing = asyncio.create_task(close_all([fail], new_runtime(), within=10))
    await pass_time(0.5)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await closing
    assert isinstance(cancelled.value.__cause__, OSError)
    with pytest.raises(RuntimeError, match="closing raised CancelledError"):
        await close_all([foreign], new_runtime(), within=10)


@virtual
async def test_a_failure_after_our_cancellation_is_not_logged_by_asyncio(caplog):
    runtime, _ = watched()

    async def fail():
        try:
            await pass_time(NEVER)
        except asyncio.CancelledError:
            raise ValueError("a secret") from None

    waiting = asyncio.create_task(supervised(fail, "asking", runtime))
    await pass_time(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    del waiting
    gc.collect()
    await pass_time(1)
    assert caplog.text == ""


@virtual
async def test_an_error_in_the_clean_up_is_the_cause_of_the_time_out():
    runtime, _ = watched()

    async def fail():
        try:
            await pass_time(NEVER)
        finally:
            raise ValueError("in the clean-up")

    with pytest.raises(TimeoutError) as late:
        await supervised(fail, "asking", runtime, within=10)
    assert isinstance(late.value.__cause__, ValueError)


@virtual
async def test_a_cancellation_during_the_clean_up_after_a_time_out_starts_nothing_again():
    runtime, _ = watched()
    cancellations = []

    async def stubborn():
        while len(cancellations) < 2:
            try:
                await pass_time(NEVER)
            except asyncio.CancelledError:
                cancellations.append(loop_time())

    waiting = asyncio.create_task(
        supervised(stubborn, "asking", runtime, within=10, finish_within=30)
    )
    await pass_time(10 + CLEANUP / 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert cancellations == [pytest.approx(10, abs=0.1), pytest.approx(10 + CLEANUP, abs=0.1)]


@virtual
async def test_a_call_that_is_left_behind_is_overdue_until_it_ends():
    runtime, events = watched()
    ended = asyncio.Event()

    async def stubborn():
        while not ended.is_set():
            with suppress(asyncio.CancelledError):
                await ended.wait()

    with pytest.raises(TimeoutError):
        await supervised(stubborn, "asking", runtime, within=OVERDUE + 1)
    assert [type(event) for event in events] == [CallOverdue]
    ended.set()
    await pass_time(1)
    assert [type(event) for event in events] == [CallOverdue, CallReturned]


@virtual
async def test_a_coroutine_that_is_closed_leaves_no_call_running():
    runtime, _ = watched()
    waiting = supervised(lambda: pass_time(NEVER), "asking", runtime)
    waiting.send(None)
    waiting.close()
    await pass_time(1)
    assert len(asyncio.all_tasks()) == 1


@virtual
async def test_a_call_that_is_being_cancelled_already_is_not_cancelled_again():
    runtime, _ = watched()
    hang, cleaned = hanging()
    waiting = asyncio.create_task(supervised(hang, "asking", runtime))
    await pass_time(1)
    [call] = asyncio.all_tasks() - {asyncio.current_task(), waiting}
    call.cancel()  # as asyncio.run does at its end, with all tasks
    await pass_time(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert cleaned == [True]
