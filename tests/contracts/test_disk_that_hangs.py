"""A disk that hangs, or a lock that is held, ends in an error; nothing waits for it for ever."""

import asyncio
import fcntl
import re
import sqlite3
import sys
import threading
from contextlib import closing, contextmanager

import pytest

from coachstream.checkpoints import FileStore, SqliteStore, file, files, sqlite
from coachstream.checkpoints.files import DISK_TIMEOUT, LOCK_PAUSE, LOCK_TIMEOUT
from coachstream.errors import StaleCheckpointError, StoreError
from coachstream.progress.checkpointer import LAST_SAVE
from coachstream.tasks.threads import PATIENCE
from coachstream.testing import FastForwardLoop
from tests.contracts.positions import cursor_in, position
from tests.support.virtual_time import virtual

SHORTLY = 0.5
"""Seconds within which what does not wait for the disk has ended."""


class Disk:
    """Hangs from `hang` until `go_on`, when something is already written."""

    def __init__(self, monkeypatch):
        self._loops = sys.modules[FastForwardLoop.__module__]
        self._monkeypatch = monkeypatch
        self._grace = self._loops._THREAD_GRACE
        self._go_on = threading.Event()
        self._go_on.set()
        self.calls = 0

    def hang(self):
        self._go_on.clear()
        # Time jumps soon although a thread is at work.
        self._monkeypatch.setattr(self._loops, "_THREAD_GRACE", 0.05)

    def go_on(self):
        self._monkeypatch.setattr(self._loops, "_THREAD_GRACE", self._grace)
        self._go_on.set()

    def wait(self):
        self.calls += 1
        self._go_on.wait(60)

    def after(self, call):
        def done(*args, **kwargs):
            call(*args, **kwargs)
            self.wait()

        return done

    def before(self, call):
        def do(*args, **kwargs):
            self.wait()
            return call(*args, **kwargs)

        return do


@pytest.fixture
def disk(monkeypatch):
    one = Disk(monkeypatch)
    monkeypatch.setattr(sqlite, "_replace", one.after(sqlite._replace))
    monkeypatch.setattr(file, "replace_file", one.after(files.replace_file))
    yield one
    one.go_on()


@pytest.fixture(params=["file", "sqlite"])
def new_store(request, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.001)  # real seconds, even on virtual time
    if request.param == "file":
        return lambda: FileStore(tmp_path / "checkpoints")
    return lambda: SqliteStore(tmp_path / "state.db")


@contextmanager
def lock_held(store):
    """Hold the lock that a save needs, as another process would."""
    if isinstance(store, FileStore):
        with (store._directory / "payroll.json.lock").open("rb") as theirs:
            fcntl.flock(theirs, fcntl.LOCK_EX)
            yield
    else:
        with closing(sqlite3.connect(store._path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield


def now():
    return asyncio.get_running_loop().time()


def threads():
    return sum(one.name == "coachstream" for one in threading.enumerate())


async def settle(task):
    """Let a task go as far as it gets without the disk."""
    done, _ = await asyncio.wait([task], timeout=SHORTLY)
    return bool(done)


@virtual
async def test_a_save_that_hangs_raises_and_the_next_looks_at_what_it_has_stored(disk, new_store):
    async with new_store() as store:
        disk.hang()
        with pytest.raises(StoreError, match=f"{re.escape(repr(store))} did not end within 30 s"):
            await store.save("payroll", position("c1"), after=0)
        assert now() == pytest.approx(DISK_TIMEOUT, abs=0.1)
        waiting = asyncio.create_task(store.save("payroll", position("c2"), after=0))
        assert not await settle(waiting)
        disk.go_on()
        with pytest.raises(StaleCheckpointError, match="at revision 1"):
            await waiting
        assert await cursor_in(store) == "c1"
        await store.save("payroll", position("c2"), after=1)


@virtual
async def test_a_load_that_hangs_raises(disk, new_store, monkeypatch):
    for module in (sqlite, file):
        monkeypatch.setattr(module, "_read", disk.before(module._read))
    async with new_store() as store:
        await store.save("payroll", position("c1"), after=0)
        disk.hang()
        with pytest.raises(StoreError, match="did not end within 30 s"):
            await store.load("payroll")
        disk.go_on()
        assert await cursor_in(store) == "c1"


@virtual
async def test_a_disk_that_hangs_for_hours_holds_one_thread(disk, new_store):
    async with new_store() as store:
        disk.hang()
        with pytest.raises(StoreError):
            await store.save("payroll", position("first"), after=0)
        held = threads()
        for _ in range(5):
            with pytest.raises(StoreError):
                await store.save("payroll", position("late"), after=0)
        assert threads() == held
        assert len(store._worker._thread._waiting) <= 1
        disk.go_on()
        # Nobody waits for the others any more, so they must not be done.
        assert await cursor_in(store) == "first"
        assert disk.calls == 1


@virtual
async def test_cancelling_and_closing_end_within_the_bound_for_the_last_save(disk, new_store):
    store = new_store()
    await store.save("payroll", position("c1"), after=0)
    disk.hang()
    saving = asyncio.create_task(store.save("payroll", position("c2"), after=1))
    assert not await settle(saving)
    began = now()
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert now() - began == pytest.approx(PATIENCE, abs=0.1)
    if isinstance(store, SqliteStore):
        with pytest.raises(TimeoutError, match="did not close within 5 s"):
            await store.aclose()
    else:
        await store.aclose()
    assert now() - began < LAST_SAVE
    disk.go_on()
    async with new_store() as another:
        assert await cursor_in(another) in {"c1", "c2"}


@virtual
async def test_what_hung_while_the_store_was_closed_closes_the_connection(disk, tmp_path):
    store = SqliteStore(tmp_path / "state.db")
    await store.save("payroll", position("c1"), after=0)
    disk.hang()
    saving = asyncio.create_task(store.save("payroll", position("c2"), after=1))
    assert not await settle(saving)
    with pytest.raises(TimeoutError):
        await store.aclose()
    disk.go_on()
    await saving
    assert store._connection is None
    assert [one.name for one in tmp_path.iterdir()] == ["state.db"]


@virtual
async def test_a_lock_that_is_held_raises_in_the_end(new_store):
    async with new_store() as store:
        await store.save("payroll", position("c1"), after=0)
        began = now()
        with lock_held(store), pytest.raises(StoreError, match="is locked by another process"):
            await store.save("payroll", position("c2"), after=1)
        assert now() - began == pytest.approx(LOCK_TIMEOUT, abs=LOCK_PAUSE)
        await store.save("payroll", position("c2"), after=1)


@virtual
async def test_while_a_lock_is_held_cancelling_and_closing_need_not_wait(new_store):
    store = new_store()
    await store.save("payroll", position("c1"), after=0)
    with lock_held(store):
        saving = asyncio.create_task(store.save("payroll", position("c2"), after=1))
        assert not await settle(saving)
        began = now()
        saving.cancel()
        assert await settle(saving)
        assert saving.cancelled()
        await store.aclose()
        assert now() - began < SHORTLY


@virtual
async def test_while_a_lock_is_held_others_can_read(new_store):
    async with new_store() as store:
        await store.save("payroll", position("c1"), after=0)
        with lock_held(store):
            saving = asyncio.create_task(store.save("payroll", position("c2"), after=1))
            assert not await settle(saving)
            assert await cursor_in(store) == "c1"
        await saving
