"""Blocking work in threads that can be left behind."""

import asyncio
import logging
import subprocess
import sys
import threading
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from coachstream.tasks import SerialThread, in_thread
from coachstream.tasks.threads import PATIENCE
from tests.support.virtual_time import virtual


async def until(condition):
    """Let other tasks and threads run until the condition holds."""
    while not condition():
        await anyio.lowlevel.checkpoint()


async def test_it_returns_or_raises_what_the_work_does():
    assert await in_thread(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_a_cancellation_comes_out_when_the_work_has_ended():
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        go_on.wait(10)
        ended.append(True)

    task = asyncio.create_task(in_thread(work))
    await until(begun.is_set)
    task.cancel()
    _, pending = await asyncio.wait([task], timeout=0.05)
    assert pending
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_it_needs_none_of_the_threads_of_others():
    go_on = threading.Event()
    limiter = anyio.to_thread.current_default_thread_limiter()
    loop = asyncio.get_running_loop()
    blocking = [
        *(asyncio.ensure_future(anyio.to_thread.run_sync(go_on.wait)) for _ in range(40)),
        *(loop.run_in_executor(None, go_on.wait) for _ in range(40)),
    ]
    try:
        await until(lambda: not limiter.available_tokens)
        assert await asyncio.wait_for(in_thread(lambda: 42), 10) == 42
    finally:
        go_on.set()
        await asyncio.gather(*blocking)


@virtual
async def test_virtual_time_stands_still_while_it_works():
    before = asyncio.get_running_loop().time()
    await in_thread(lambda: threading.Event().wait(0.05))
    assert asyncio.get_running_loop().time() - before < 0.05


def test_a_thread_that_hangs_does_not_keep_the_process_alive():
    script = """
import asyncio, sys, threading
from coachstream.tasks import in_thread

async def main():
    task = asyncio.create_task(in_thread(threading.Event().wait))
    await asyncio.sleep(0.05)
    sys.exit(3)

asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    try:
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 3


# One thread for one thing


@pytest.fixture
def stuck():
    """An event that work waits for, and that is set at the end."""
    go_on = threading.Event()
    yield go_on
    go_on.set()


async def begin(thread, work):
    """Start a call, and wait until its thread is at work."""
    begun = threading.Event()

    def begin_and_work():
        begun.set()
        return work()

    task = asyncio.create_task(thread.run(begin_and_work))
    await until(begun.is_set)
    return task


async def test_calls_are_done_one_after_another_in_their_order():
    thread, done, at_once = SerialThread(), [], []

    def work(number):
        at_once.append(number)
        assert len(at_once) == 1
        done.append(at_once.pop())

    await asyncio.gather(*(thread.run(partial(work, n)) for n in range(50)))
    assert done == list(range(50))


async def test_a_call_that_takes_too_long_is_left_behind_and_the_next_waits_for_it(stuck):
    thread = SerialThread()
    with pytest.raises(TimeoutError, match="asking did not end within 0.05 s"):
        await thread.run(stuck.wait, what="asking", within=0.05)
    following = asyncio.create_task(thread.run(stuck.is_set))
    done, _ = await asyncio.wait([following], timeout=0.05)
    assert not done
    stuck.set()
    assert await following


@pytest.mark.parametrize("end", ["cancelled", "too late"])
async def test_what_nobody_waits_for_any_more_is_never_done(stuck, end):
    thread, done = SerialThread(), []
    first = await begin(thread, stuck.wait)
    if end == "cancelled":
        second = asyncio.create_task(thread.run(lambda: done.append(2)))
        await asyncio.wait([second], timeout=0.01)
        second.cancel()
        await asyncio.wait([second], timeout=0.5)
        assert second.cancelled()
    else:
        with pytest.raises(TimeoutError):
            await thread.run(lambda: done.append(2), within=0.01)
    stuck.set()
    await first
    await thread.run(lambda: done.append(3))
    assert done == [3]


@virtual
async def test_a_cancelled_call_waits_only_so_long_for_its_thread():
    stuck = threading.Event()
    task = await begin(SerialThread(), stuck.wait)
    loop = asyncio.get_running_loop()
    began = loop.time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop.time() - began == pytest.approx(PATIENCE, abs=0.1)
    stuck.set()


async def test_no_thread_is_left_when_there_is_nothing_to_do():
    def ours():
        return [one for one in threading.enumerate() if one.name == "coachstream"]

    before = len(ours())
    for _ in range(3):
        await SerialThread().run(lambda: None)
    await until(lambda: len(ours()) <= before)


async def test_a_thread_that_could_not_be_started_is_started_by_the_next_call(monkeypatch):
    thread, done = SerialThread(), []

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            await thread.run(lambda: done.append(1))
    await thread.run(lambda: done.append(2), within=10)
    assert done == [2]


def test_a_thread_that_ends_after_its_loop_logs_nothing(stuck, caplog):
    thread = SerialThread()

    async def leave_behind():
        with pytest.raises(TimeoutError):
            await thread.run(stuck.wait, within=0.01)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(leave_behind())
        stuck.set()
        assert asyncio.run(thread.run(lambda: 42)) == 42
    assert [one for one in caplog.records if one.levelno > logging.DEBUG] == []
