"""Blocking work in threads that can be left behind."""

import asyncio
import subprocess
import sys
import threading

import anyio
import anyio.lowlevel
import pytest

from coachstream.tasks import in_thread
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
