"""Tasks with one owner, and one task that outlives the waits for it."""

import asyncio
import gc
from weakref import ref

import pytest

from coachstream.errors import ClosedError
from coachstream.tasks import BackgroundTasks, DetachedTask
from tests.support.virtual_time import VirtualLoop, pass_time, virtual

HOUR = 3600.0


async def answer(number=42):
    await pass_time(1)
    return number


async def fail():
    raise KeyError("x")


@virtual
async def test_closing_ends_all_tasks_and_nothing_starts_any_more():
    tasks = BackgroundTasks()
    running = [tasks.start(pass_time(HOUR)) for _ in range(3)]
    await pass_time(1)
    await tasks.aclose()
    assert all(task.cancelled() for task in running)
    # The coroutine is closed, too: otherwise Python warns that nobody awaited it.
    with pytest.raises(ClosedError):
        tasks.start(answer())
    await tasks.aclose()


@virtual
async def test_closing_waits_for_the_clean_up_of_each_task():
    tasks, cleaned = BackgroundTasks(), []

    async def work(seconds):
        try:
            await pass_time(HOUR)
        finally:
            await pass_time(seconds)
            cleaned.append(seconds)

    for seconds in (2, 1):
        tasks.start(work(seconds))
    await pass_time(1)
    await tasks.aclose()
    assert cleaned == [1, 2]


@virtual
async def test_what_is_left_behind_lives_until_it_ends_and_closing_does_not_wait_for_it():
    tasks, ended = BackgroundTasks(), []

    async def hang():
        try:
            await asyncio.get_running_loop().create_future()  # which only this task knows
        finally:
            ended.append(True)

    async def leave():
        task = asyncio.get_running_loop().create_task(hang())
        await pass_time(1)
        tasks.leave_behind(task)
        return ref(task)

    left = await leave()
    await tasks.aclose()
    gc.collect()
    task = left()
    assert task is not None
    assert ended == []
    task.cancel()
    del task
    await pass_time(1)
    gc.collect()
    assert left() is None
    assert ended == [True]


@virtual
async def test_a_failure_that_nobody_waits_for_is_not_logged_by_asyncio(caplog):
    tasks = BackgroundTasks()
    tasks.start(fail())
    tasks.leave_behind(asyncio.get_running_loop().create_task(fail()))
    await pass_time(1)
    gc.collect()
    assert caplog.records == []


@virtual
async def test_a_result_outlives_a_cancelled_wait_and_is_given_once():
    detached = DetachedTask(BackgroundTasks())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(detached.result(lambda: answer(1)), 0.5)
    assert detached.pending
    assert await detached.result(lambda: answer(2)) == 1
    assert await detached.result(lambda: answer(2)) == 2
    assert not detached.pending


@virtual
async def test_a_task_may_begin_before_anyone_waits_and_a_failure_is_raised_once():
    detached = DetachedTask(BackgroundTasks())
    detached.begin(fail())
    await pass_time(1)
    with pytest.raises(KeyError):
        await detached.result(answer)
    assert await detached.result(answer) == 42


@virtual
async def test_whoever_waits_when_the_owner_closes_is_told_so():
    tasks = BackgroundTasks()
    detached = DetachedTask(tasks)
    waiting = asyncio.create_task(detached.result(answer))
    await pass_time(0.5)
    await tasks.aclose()
    with pytest.raises(ClosedError):
        await waiting
    with pytest.raises(ClosedError):
        await detached.result(answer)


@virtual
async def test_a_task_that_is_abandoned_ends_soon():
    detached = DetachedTask(BackgroundTasks())
    detached.begin(pass_time(HOUR))
    await asyncio.to_thread(detached.abandon)
    with pytest.raises(ClosedError):
        await detached.result(answer)
    assert asyncio.get_running_loop().time() < HOUR


def test_a_task_is_abandoned_in_vain_when_its_loop_is_closed():
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def begin():
            detached = DetachedTask(BackgroundTasks())
            detached.begin(pass_time(HOUR))
            return detached

        detached = runner.run(begin())
    detached.abandon()
