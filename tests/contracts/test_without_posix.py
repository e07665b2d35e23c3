"""Stores and ledgers in files where the names that Windows lacks are taken away.

None of this has run on a real Windows.
"""

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from coachstream import FileLedger, InvalidArgumentError, StaleCheckpointError, StoreRefusedError
from coachstream.checkpoints import FileStore, SqliteStore, files
from coachstream.testing.contracts import LedgerContract, StoreContract
from tests.consumer.test_ledger import failed
from tests.contracts.positions import cursor_in, position
from tests.support import windows


@pytest.fixture(autouse=True)
def _on_windows(tmp_path, monkeypatch):
    windows.take_away(monkeypatch)


class TestFileStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path):
        return lambda: FileStore(tmp_path / "checkpoints")


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path):
        return lambda: SqliteStore(tmp_path / "state.db")


class TestFileLedger(LedgerContract):
    @pytest.fixture
    def make_ledger(self, tmp_path):
        return lambda: FileLedger(tmp_path / "failed.jsonl")


@pytest.fixture
async def store(tmp_path):
    async with FileStore(tmp_path / "checkpoints") as one:
        await one.save("payroll", position("c1"), after=0)
        yield one


async def test_names_are_listed_and_deleted(store):
    await store.save("Other", position(), after=0)
    assert await store.list() == ["Other", "payroll"]
    assert await store.delete("payroll")
    assert await store.list() == ["Other"]


async def test_a_save_waits_for_another_process(tmp_path, store):
    lock = tmp_path / "checkpoints" / "payroll.json.lock"
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, files.locked(lock))
        saving = asyncio.create_task(store.save("payroll", position("c2"), after=1))
        done, _ = await asyncio.wait([saving], timeout=0.05)
        assert not done
    assert (await saving).revision == 2


async def test_two_ledgers_share_a_file(tmp_path):
    path = tmp_path / "failed.jsonl"
    ledgers = [FileLedger(path) for _ in range(2)]
    await asyncio.gather(*(ledgers[n % 2].add(failed(str(n))) for n in range(20)))
    assert len([one async for one in ledgers[0].list()]) == 20


@pytest.fixture
def file_in_use(monkeypatch):
    """Files that can't be replaced so many times, because another process reads them."""
    left = [0]
    replace = Path.replace

    def refuse(self, target):
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "Access is denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    return left


async def test_a_file_that_is_being_read_is_replaced_a_little_later(store, file_in_use):
    file_in_use[0] = 3
    await store.save("payroll", position("c2"), after=1)
    assert await cursor_in(store) == "c2"
    with pytest.raises(StaleCheckpointError):
        await store.save("payroll", position("mine"), after=1)


async def test_a_file_that_may_not_be_written_is_refused_in_the_end(
    store, file_in_use, monkeypatch
):
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.1)
    file_in_use[0] = 10**6
    with pytest.raises(StoreRefusedError, match="Let this process write"):
        await store.save("payroll", position("c2"), after=1)
    assert await cursor_in(store) == "c1"


async def test_without_any_locks_the_first_save_says_so(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "msvcrt", None)
    with pytest.raises(ImportError, match="msvcrt"):
        await store.save("payroll", position("c2"), after=1)


def test_an_empty_directory_is_still_an_error():
    with pytest.raises(InvalidArgumentError, match="directory: is empty"):
        FileStore("")
