"""What the SQLite store promises beyond what every store does."""

import asyncio
import gc
import os
import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from coachstream.checkpoints import SqliteStore, files, sqlite
from coachstream.errors import (
    ClosedError,
    CorruptCheckpointError,
    InvalidArgumentError,
    StaleCheckpointError,
    StoreError,
    StoreRefusedError,
)
from tests.contracts.positions import cursor_in, full, position


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
async def store(path):
    async with SqliteStore(path) as one:
        yield one


def query_file(path, query: str):
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(query).fetchall()


async def in_thread(*call):
    return await asyncio.to_thread(*call)


async def test_only_the_owner_can_read(path, tmp_path, store):
    umask = os.umask(0)
    try:
        await store.save("payroll", position(), after=0)
        await store.save("payroll", position(), after=1)
    finally:
        os.umask(umask)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


async def test_only_the_file_is_left_after_closing(path, tmp_path, store):
    await store.save("payroll", position(), after=0)
    await store.aclose()
    assert [file.name for file in tmp_path.iterdir()] == ["state.db"]


async def test_creating_a_store_writes_nothing(tmp_path):
    SqliteStore(tmp_path / "state.db")
    assert list(tmp_path.iterdir()) == []


async def test_a_database_of_yours_keeps_its_tables_and_its_journal(path, store):
    await in_thread(query_file, path, "CREATE TABLE yours (n)")
    await in_thread(os.chmod, path, 0o644)
    await store.save("payroll", position(), after=0)
    assert await in_thread(query_file, path, "PRAGMA journal_mode") == [("delete",)]
    assert await in_thread(query_file, path, "SELECT * FROM yours") == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


async def test_a_new_database_uses_wal_and_is_synced_at_each_commit(path, store):
    await store.save("payroll", position(), after=0)
    connection = store._connection
    assert await in_thread(query_file, path, "PRAGMA journal_mode") == [("wal",)]
    assert await in_thread(lambda: connection.execute("PRAGMA synchronous").fetchone()) == (3,)


async def test_people_can_read_what_is_stored(path, store):
    await store.save("payroll", position("c1"), after=0)
    [(name, revision, cursor)] = await in_thread(
        query_file,
        path,
        "SELECT name, revision, json_extract(value, '$.position.cursor') "
        "FROM coachstream_checkpoints",
    )
    assert (name, revision, cursor) == ("payroll", 1, "c1")


@pytest.mark.parametrize("junk", [b"no database at all, but long enough to be looked at" * 50])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(path, store, junk):
    path.write_bytes(junk)
    with pytest.raises(CorruptCheckpointError, match=r"state\.db is damaged or not a SQLite"):
        await store.load("payroll")
    with pytest.raises(CorruptCheckpointError):
        await store.save("payroll", position(), after=0)
    assert path.read_bytes() == junk


async def test_a_database_with_broken_pages_is_damage(path, store):
    await store.save("payroll", full(2_000), after=0)
    await store.aclose()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(bytes(data))
    async with SqliteStore(path) as again:
        with pytest.raises(CorruptCheckpointError):
            await again.load("payroll")


async def test_invalid_text_is_damage(path, store):
    await store.save("payroll", position(), after=0)
    query = "UPDATE coachstream_checkpoints SET value = CAST(x'ff00fe' AS TEXT)"
    await in_thread(query_file, path, query)
    with pytest.raises(CorruptCheckpointError):
        await store.load("payroll")


async def test_a_file_that_was_removed_is_not_written_to_any_more(path, store):
    """SQLite would not notice, and the saves would be lost with the process."""
    await store.save("payroll", position(), after=0)
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(StaleCheckpointError, match="revision 0"):
        await store.save("payroll", position(), after=1)
    await store.save("payroll", position("new"), after=0)
    async with SqliteStore(path) as other:
        assert await cursor_in(other) == "new"


async def test_a_missing_directory_is_not_created(tmp_path):
    async with SqliteStore(tmp_path / "mistaken" / "state.db") as store:
        with pytest.raises(StoreRefusedError, match="mistaken"):
            await store.load("payroll")


async def test_a_save_waits_for_another_process_without_holding_up_the_loop(path, store):
    await store.save("payroll", position(), after=0)
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as other:
        await in_thread(other.execute, "BEGIN IMMEDIATE")
        mine = asyncio.create_task(store.save("payroll", position("mine"), after=1))
        done, _ = await asyncio.wait([mine], timeout=0.1)
        assert not done
        await in_thread(other.execute, "ROLLBACK")
        assert (await mine).revision == 2


async def test_a_save_that_waits_too_long_raises_and_may_be_repeated(path, store, monkeypatch):
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.3)
    await store.save("payroll", position(), after=0)
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as other:
        await in_thread(other.execute, "BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"state\.db is locked by another process"):
            await store.save("payroll", position("mine"), after=1)
        await in_thread(other.execute, "ROLLBACK")
    assert (await store.save("payroll", position("mine"), after=1)).revision == 2


async def test_a_full_disk_is_an_error_and_changes_nothing(path, store):
    await store.save("payroll", position("c1"), after=0)
    connection = store._connection
    await in_thread(connection.execute, "PRAGMA max_page_count = 5")
    with pytest.raises(StoreError, match="full"):
        await store.save("payroll", full(1_000), after=1)
    assert await cursor_in(store) == "c1"
    await store.save("payroll", position("c2"), after=1)


async def test_a_refused_save_leaves_no_transaction_open(path, store):
    await store.save("payroll", position(), after=0)
    with pytest.raises(StaleCheckpointError):
        await store.save("payroll", position(), after=0)
    assert not store._connection.in_transaction


async def test_a_cancelled_save_ends_before_the_cancellation_is_raised(path, store, monkeypatch):
    await store.save("payroll", position(), after=0)
    inside, go_on = threading.Event(), threading.Event()
    replace = sqlite._replace

    def slow(*args, **kwargs):
        inside.set()
        go_on.wait(10)
        replace(*args, **kwargs)

    monkeypatch.setattr(sqlite, "_replace", slow)
    task = asyncio.create_task(store.save("payroll", position("mine"), after=1))
    await in_thread(inside.wait, 10)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0.05)
    assert not done
    go_on.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not store._connection.in_transaction
    assert await cursor_in(store) == "mine"


async def test_a_second_cancellation_does_not_wait(path, store, monkeypatch):
    inside, go_on = threading.Event(), threading.Event()
    read = sqlite._read

    def slow(*args, **kwargs):
        inside.set()
        go_on.wait(10)
        return read(*args, **kwargs)

    monkeypatch.setattr(sqlite, "_read", slow)
    task = asyncio.create_task(store.load("payroll"))
    await in_thread(inside.wait, 10)
    for _ in range(2):
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    assert task.cancelled()
    go_on.set()
    assert await store.load("payroll") is None


async def test_a_cancelled_save_that_fails_later_logs_nothing(path, store, monkeypatch, caplog):
    await store.save("payroll", position(), after=0)
    inside, go_on = threading.Event(), threading.Event()

    def slow(*args, **kwargs):
        inside.set()
        go_on.wait(10)
        raise StaleCheckpointError("slow and late")

    monkeypatch.setattr(sqlite, "_replace", slow)
    task = asyncio.create_task(store.save("payroll", position("mine"), after=1))
    await in_thread(inside.wait, 10)
    task.cancel()
    await asyncio.wait([task], timeout=0.01)
    go_on.set()
    await asyncio.wait([task])
    assert task.cancelled()
    del task
    gc.collect()
    assert caplog.records == []


async def test_a_load_that_waited_during_the_closing_does_not_reopen_the_store(path, store):
    await store.save("payroll", position(), after=0)
    go_on = threading.Event()
    busy = asyncio.create_task(store._worker.run(go_on.wait))
    await asyncio.wait([busy], timeout=0.02)
    loading = asyncio.create_task(store.load("payroll"))
    await asyncio.wait([loading], timeout=0.02)
    closing = asyncio.create_task(store.aclose())
    await asyncio.wait([closing], timeout=0.02)
    go_on.set()
    await busy
    with pytest.raises(ClosedError):
        await loading
    await closing
    assert store._connection is None


def test_one_store_serves_one_loop_after_another(path):
    store = SqliteStore(path)
    for revision in range(3):
        asyncio.run(store.save("payroll", position(), after=revision))
    asyncio.run(store.aclose())


@pytest.mark.parametrize(("given", "problem"), [("", "is empty"), (":memory:", "MemoryStore")])
def test_a_path_is_needed(given, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        SqliteStore(given)
