"""A forked process shares a store's files and server, but neither its connection nor its locks."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from coachstream import FileLedger, StaleCheckpointError, StoreError
from coachstream.checkpoints import (
    FileStore,
    MemoryStore,
    SqliteStore,
    file,
    files,
    mapping,
    sqlite,
)
from coachstream.consumer import file_ledger
from coachstream.tasks import threads
from tests.consumer.test_ledger import failed
from tests.contracts.positions import cursor_in, position

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # has several threads
    # A process that goes on with its parent's connection leaves that to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
]


@pytest.fixture(autouse=True)
def _collected_here():
    """Collect connections that were left behind while these warnings are ignored."""
    yield
    gc.collect()


def in_child(work) -> None:
    """Run ``work`` in a forked process, and fail if it does or does not end."""
    child = os.fork()
    if not child:
        code = 1
        try:
            signal.alarm(20)
            work()
            code = 0
        except BaseException:  # noqa: BLE001  # the parent is told
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


async def save_next(store, cursor, *, after):
    assert await cursor_in(store) == f"c{after}"
    await store.save("payroll", position(cursor), after=after)
    await store.aclose()


def save_in_a_loop(store, cursor, *, after):
    asyncio.run(save_next(store, cursor, after=after))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_parent_and_child_go_on_with_one_store(storage, kind):
    store = storage.store()
    asyncio.run(store.save("payroll", position("c1"), after=0))
    in_child(partial(save_in_a_loop, store, "c2", after=1))
    save_in_a_loop(store, "c3", after=1 if kind == "mapping" else 2)  # a fork copies a mapping
    del store
    gc.collect()


async def test_the_parents_loop_may_be_running(storage, kind):
    store = storage.store()
    await store.save("payroll", position("c1"), after=0)
    in_child(partial(save_in_a_loop, store, "c2", after=1))
    await save_next(store, "c3", after=1 if kind == "mapping" else 2)


async def test_the_parents_connections_are_left_alone(storage, kind):
    """To close one would take it from the parent's event loop, which waits on the same epoll."""
    store = storage.store()
    await store.save("payroll", position("c1"), after=0)

    async def collect() -> None:
        await save_next(store, "c2", after=1)
        gc.collect()

    in_child(lambda: asyncio.run(collect()))
    async with asyncio.timeout(5):
        await save_next(store, "c3", after=1 if kind == "mapping" else 2)


def test_a_child_finds_no_lock_of_another_thread(tmp_path):
    """A thread that holds one while another forks can't release it in the child."""
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with mapping._lock, sqlite._create_lock:
            held.set()
            go_on.wait(30)

    holding = threading.Thread(target=hold)
    holding.start()
    held.wait(10)

    def save() -> None:
        for store in (MemoryStore(), SqliteStore(tmp_path / "state.db")):
            asyncio.run(store.save("payroll", position(), after=0))

    try:
        in_child(save)
    finally:
        go_on.set()
        holding.join()


def test_a_child_has_locks_of_its_own_on_a_sqlite_file(tmp_path):
    """Otherwise a third process would take the file for unused, and remove the child's log."""
    store = SqliteStore(tmp_path / "state.db")
    asyncio.run(store.save("payroll", position("c1"), after=0))

    def locks() -> int:
        return Path("/proc/locks").read_text().count(f" {os.getpid()} ")

    def load() -> None:
        assert locks() == 0
        asyncio.run(store.load("payroll"))
        assert locks() == in_parent

    in_parent = locks()
    assert in_parent > 0
    in_child(load)
    asyncio.run(store.load("payroll"))
    assert locks() == in_parent
    asyncio.run(store.aclose())


@pytest.fixture(params=["file", "sqlite", "ledger"])
def save(request, tmp_path):
    """Returns a function that saves, or adds to a ledger, under some name."""
    if request.param == "ledger":
        ledger = FileLedger(tmp_path / "failed.jsonl")
        return lambda name: asyncio.run(ledger.add(failed(name)))
    kind = FileStore if request.param == "file" else SqliteStore
    store = kind(tmp_path / "state")
    return lambda name: asyncio.run(store.save(name, position(), after=0))


@pytest.fixture
def slow_disk(monkeypatch):
    """Saves stop in their middle, and say so, until the second event is set."""
    inside, go_on = threading.Event(), threading.Event()
    read = sqlite._read

    def wait():
        inside.set()
        go_on.wait(30)

    def slow(call):
        def work(*args, **kwargs):
            wait()
            return call(*args, **kwargs)

        return work

    def slow_in_sqlite(connection, *, name):
        # Within a statement: the connection's own mutex is held.
        connection.create_function("wait", 0, wait)
        connection.execute("SELECT wait()").fetchone()
        return read(connection, name=name)

    monkeypatch.setattr(sqlite, "_read", slow_in_sqlite)
    monkeypatch.setattr(file, "_read", slow(file._read))
    monkeypatch.setattr(file_ledger, "_mended_end", slow(file_ledger._mended_end))
    yield inside, go_on
    go_on.set()


def test_a_fork_waits_for_a_save_so_that_the_child_finds_nothing_half_done(save, slow_disk):
    inside, go_on = slow_disk
    saving = threading.Thread(target=save, args=["parent"])
    saving.start()
    inside.wait(10)
    threading.Timer(0.2, go_on.set).start()
    in_child(lambda: save("child"))
    saving.join()
    save("parent again")


def test_a_fork_does_not_wait_for_ever_and_the_child_gets_an_error(save, slow_disk, monkeypatch):
    monkeypatch.setattr(threads, "FORK_PATIENCE", 0.2)
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.5)
    inside, go_on = slow_disk
    saving = threading.Thread(target=save, args=["parent"])
    saving.start()
    inside.wait(10)

    def fail() -> None:
        go_on.set()  # the child's own disk works
        with pytest.raises((StoreError, TimeoutError), match="is locked by another process"):
            save("parent")

    in_child(fail)
    go_on.set()
    saving.join()
    save("parent again")
    in_child(lambda: save("another child"))


def test_a_child_that_lives_on_does_not_keep_the_parents_lock(save, slow_disk, monkeypatch):
    monkeypatch.setattr(threads, "FORK_PATIENCE", 0.2)
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.5)
    inside, go_on = slow_disk
    saving = threading.Thread(target=save, args=["parent"])
    saving.start()
    inside.wait(10)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)  # until the parent has closed its end
        os._exit(0)
    go_on.set()
    saving.join()
    try:
        with contextlib.suppress(StaleCheckpointError):  # that is: not locked
            save("parent")
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)
