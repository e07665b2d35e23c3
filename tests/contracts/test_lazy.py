"""A connection for each event loop, made on first use."""

import asyncio
import gc
import os
import weakref

import pytest

from coachstream.checkpoints.lazy import Lazy


class Connection:
    """Works only on the loop that made it, as those of drivers do."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.is_open = True


@pytest.fixture
def made():
    return []


@pytest.fixture
def lazy(made):
    async def make():
        await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.01)
        made.append(Connection())
        return made[-1]

    return Lazy(make, usable=lambda connection: connection.is_open)


async def test_it_is_made_once_however_many_ask(lazy, made):
    got = await asyncio.gather(*(lazy.get() for _ in range(5)))
    assert set(got) == {*made}
    assert len(made) == 1


async def test_it_is_made_again_when_it_is_no_longer_usable(lazy, made):
    (await lazy.get()).is_open = False
    assert await lazy.get() is made[1]


async def test_it_is_made_again_when_making_it_failed():
    failures = iter([OSError("down")])

    async def make():
        for failure in failures:
            raise failure
        return 42

    lazy = Lazy(make)
    with pytest.raises(OSError, match="down"):
        await lazy.get()
    assert await lazy.get() == 42


async def test_it_is_taken_once(lazy, made):
    assert await lazy.take() is None
    await lazy.get()
    assert await lazy.take() is made[0]
    assert await lazy.take() is None


def test_each_loop_has_its_own_and_that_of_a_closed_loop_is_let_go(lazy, made):
    async def get():
        return await lazy.get(), asyncio.get_running_loop()

    for _ in range(3):
        connection, loop = asyncio.run(get())
        assert connection.loop is loop
    assert len(made) == 3
    assert asyncio.run(lazy.take()) is None
    assert len(lazy._slots) == 1


async def test_a_loop_that_still_runs_keeps_its_own(lazy, made):
    mine = await lazy.get()
    theirs = await asyncio.to_thread(asyncio.run, lazy.get())
    assert theirs is not mine
    assert await lazy.get() is mine


def test_a_loop_that_was_closed_while_it_made_one_does_not_lock_out_the_next():
    async def hang():
        await asyncio.Event().wait()

    hanging = Lazy(hang)

    async def give_up():
        await asyncio.wait([asyncio.create_task(hanging.get())], timeout=0.01)

    for _ in range(2):
        asyncio.run(give_up())
    assert len(hanging._slots) == 1


async def test_a_forked_process_has_its_own(lazy, made, monkeypatch):
    inherited = weakref.ref(await lazy.get())
    made.clear()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert await lazy.get() is not inherited()
    gc.collect()
    assert inherited() is not None  # to collect it would be to close it
