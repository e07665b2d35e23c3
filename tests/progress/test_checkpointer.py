"""Loading and saving: as patient as with the server, bounded, and never over somebody else's."""

import asyncio
from contextlib import suppress

import pytest

from coachstream import (
    CorruptCheckpointError,
    Position,
    RetryPolicy,
    SaveRolledBackError,
    StaleCheckpointError,
    StoreError,
    StoreRefusedError,
)
from coachstream.checkpoints import MemoryStore, opening
from coachstream.progress.checkpointer import LAST_SAVE, STORE_TIMEOUT, Checkpointer
from coachstream.telemetry import CallOverdue, CheckpointSaved, LoadFailed, SaveFailed
from coachstream.wire.query import Query
from tests.progress.stores import Connection, TroubledStore, database_store
from tests.support.runtimes import new_runtime
from tests.support.virtual_time import LoopClock, pass_time, virtual

QUERY = Query.from_wire("startTime=2026-01-01T00%3A00%3A00Z")
HOUR = 3600.0


def at(cursor):
    return Position(query=QUERY.wire, origin=QUERY.wire, cursor=cursor)


def one(store, **more):
    events = []
    runtime = new_runtime(events.append, clock=LoopClock())
    return Checkpointer(store, name="x", runtime=runtime, **more), events


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


# Patience


@virtual
async def test_a_store_that_is_away_is_waited_for_for_ever():
    store = TroubledStore()
    checkpointer, events = one(store)
    await checkpointer.load(QUERY)
    store.error = OSError("away")
    saving = asyncio.create_task(checkpointer.save(at("a")))
    await pass_time(HOUR)
    assert not saving.done()
    failed = of_kind(events, SaveFailed)
    assert [event.attempt for event in failed] == [*range(1, len(failed) + 1)]
    assert len(failed) > 50
    store.error = None
    await saving
    assert (await store.kept()).cursor == "a"
    assert isinstance(events[-1], CheckpointSaved)


@virtual
async def test_one_failing_load_is_not_the_end():
    store = TroubledStore()
    store.error = OSError("away")
    checkpointer, events = one(store)
    loading = asyncio.create_task(checkpointer.load(QUERY))
    await pass_time(HOUR)
    assert not loading.done()
    assert isinstance(events[0], LoadFailed)
    store.error = None
    assert await loading == at(None)


@pytest.mark.parametrize("what", ["load", "save"])
def test_patience_is_bounded_if_the_user_says_so(what):
    @virtual
    async def test():
        store = TroubledStore()
        store.error = OSError("away")
        checkpointer, events = one(store, retry=RetryPolicy(give_up_after=60))
        with pytest.raises(StoreError, match="away") as raised:
            await (checkpointer.load(QUERY) if what == "load" else checkpointer.save(at("a")))
        assert 10 < LoopClock().monotonic() <= 60
        assert isinstance(raised.value.__cause__, OSError)
        assert events

    test()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CorruptCheckpointError("damaged"), CorruptCheckpointError),
        (TypeError("a bug"), TypeError),
        (PermissionError("root only"), StoreRefusedError),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("what", ["load", "save"])
def test_what_cannot_mend_is_raised_at_once(what, error, expected):
    @virtual
    async def test():
        store = TroubledStore()
        store.error = error
        checkpointer, events = one(store)
        with pytest.raises(expected):
            async with asyncio.timeout(60):
                await (checkpointer.load(QUERY) if what == "load" else checkpointer.save(at("a")))
        assert events == []

    test()


@virtual
async def test_a_cancellation_that_nobody_asked_for_is_a_failure_like_any_other():
    store = TroubledStore()
    store.error = asyncio.CancelledError()
    checkpointer, events = one(store)
    saving = asyncio.create_task(checkpointer.save(at("a")))
    await pass_time(60)
    store.error = None
    await saving
    assert isinstance(events[0].error.__cause__, RuntimeError)


@pytest.mark.parametrize("what", ["load", "save"])
def test_a_store_that_hangs_is_given_up_in_time_and_asked_again(what):
    @virtual
    async def test():
        store = TroubledStore()
        store.hangs = True
        checkpointer, events = one(store)
        call = checkpointer.load(QUERY) if what == "load" else checkpointer.save(at("a"))
        asking = asyncio.create_task(call)
        await pass_time(STORE_TIMEOUT + 1)
        overdue, *_, failed = events
        assert isinstance(overdue, CallOverdue)
        assert isinstance(failed, LoadFailed if what == "load" else SaveFailed)
        assert isinstance(failed.error, StoreError)
        assert isinstance(failed.error.__cause__, TimeoutError)
        store.hangs = False
        await asking

    test()


@virtual
async def test_a_cancelled_save_is_cancelled_and_not_timed_out():
    store = TroubledStore()
    store.hangs = True
    checkpointer, _ = one(store)
    saving = asyncio.create_task(checkpointer.save(at("a")))
    await pass_time(1)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert LoopClock().monotonic() < 2


@virtual
async def test_waiting_for_the_store_ends_when_nobody_asks_it_any_more():
    store = TroubledStore()
    store.error = OSError("away")
    checkpointer, _ = one(store)
    saving = asyncio.create_task(checkpointer.save(at("a")))
    await pass_time(10)
    waiting = asyncio.create_task(checkpointer.until_it_answers())
    await pass_time(10)
    assert not waiting.done()
    saving.cancel()
    await waiting


# Saves that are slow


@virtual
async def test_a_save_that_was_cut_off_after_it_had_happened_is_our_own():
    class Slow(MemoryStore):
        async def save(self, name, position, *, after):
            saved = await super().save(name, position, after=after)
            await pass_time(3)
            return saved

    store = Slow()
    checkpointer, _ = one(store)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(checkpointer.save(at("a")), 1)
    assert await stored(store) == "a"
    await checkpointer.save(at("b"))
    assert await stored(store) == "b"


@virtual
async def test_no_save_overtakes_an_earlier_one():
    class Uneven(MemoryStore):
        async def save(self, name, position, *, after):
            await pass_time({"a": 5, "b": 1}[position.cursor])
            return await super().save(name, position, after=after)

    store = Uneven()
    checkpointer, _ = one(store)
    await asyncio.gather(*(checkpointer.save(at(cursor)) for cursor in "ab"))
    assert await stored(store) == "b"


# The last save


@virtual
async def test_the_last_save_takes_no_longer_than_its_bound_and_says_what_failed():
    store = TroubledStore()
    checkpointer, _ = one(store)
    await checkpointer.load(QUERY)
    store.error = OSError("disk full")
    with pytest.raises(StoreError, match="disk full"):
        await checkpointer.finish(at("a"))
    assert LoopClock().monotonic() <= LAST_SAVE
    store.error = None
    checkpointer, _ = one(store)
    await checkpointer.load(QUERY)
    store.hangs, began = True, LoopClock().monotonic()
    with pytest.raises(StoreError, match="saving 'x' failed \\(the last save did not end in time"):
        await checkpointer.finish(at("a"))
    assert LoopClock().monotonic() - began <= LAST_SAVE + 0.1


@virtual
async def test_nothing_is_saved_over_a_position_that_was_not_loaded():
    store = TroubledStore()
    checkpointer, _ = one(store)
    await checkpointer.finish(at("a"))
    assert await store.load("x") is None


@virtual
async def test_what_the_last_save_raised_is_not_replaced_by_a_failure_to_close(monkeypatch):
    class Fails(TroubledStore):
        async def _close(self):
            raise OSError("closing failed")

    monkeypatch.setattr(opening, "MemoryStore", Fails)
    checkpointer, _ = one("memory:")
    await checkpointer.load(QUERY)
    await checkpointer._store.save("x", at("other"), after=1)
    with pytest.raises(StaleCheckpointError) as raised:
        await checkpointer.finish(at("a"))
    assert raised.value.__notes__ == ["closing the store failed, too: OSError: closing failed"]


@virtual
async def test_cancellations_wait_for_the_last_save():
    class Slow(MemoryStore):
        async def save(self, name, position, *, after):
            await pass_time(3)
            return await super().save(name, position, after=after)

    store = Slow()
    checkpointer, _ = one(store)
    await checkpointer.load(QUERY)
    finishing = asyncio.create_task(checkpointer.finish(at("a")))
    for _ in range(3):
        await pass_time(0.5)
        finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    assert await store.load("x") is not None


# In the caller's transactions


class Undone(Exception):  # noqa: N818  # rolls a transaction back
    """Raised in a transaction on purpose."""


async def in_database():
    """Return a store, a connection to its database, and a checkpointer that has loaded."""
    database, store = database_store()
    checkpointer, _ = one(store)
    await checkpointer.load(QUERY)
    return store, Connection(database), checkpointer


async def in_transaction(connection, checkpointer, *cursors, undone=False):
    """Save in one transaction, which is committed or rolled back."""

    async def work():
        async with connection.transaction():
            for cursor in cursors:
                await checkpointer.save(at(cursor), on=connection)
            if undone:
                raise Undone

    with suppress(Undone):
        await work()


async def stored(store):
    found = await store.load("x")
    return found and found.position.cursor


@pytest.mark.parametrize("saves", [1, 3])
@pytest.mark.parametrize("committed", [0, 2])
def test_a_transaction_that_is_tried_again_commits_the_position_with_it(saves, committed):
    @virtual
    async def test():
        store, connection, checkpointer = await in_database()
        for number in range(committed):
            await in_transaction(connection, checkpointer, f"before {number}")
        cursors = [f"c{number}" for number in range(saves)]
        await in_transaction(connection, checkpointer, *cursors, undone=True)
        # The loop has come to the last one, whatever part of the work is done again first.
        await in_transaction(connection, checkpointer, *[cursors[-1]] * saves, undone=True)
        assert await stored(store) == (f"before {committed - 1}" if committed else None)
        await in_transaction(connection, checkpointer, *[cursors[-1]] * saves)
        assert await stored(store) == cursors[-1]
        await in_transaction(connection, checkpointer, "on")
        assert await stored(store) == "on"

    test()


@virtual
async def test_a_savepoint_that_is_tried_again_commits_the_position_with_it():
    store, connection, checkpointer = await in_database()
    async with connection.transaction():
        await in_transaction(connection, checkpointer, "a")
        await in_transaction(connection, checkpointer, "b", undone=True)
        await in_transaction(connection, checkpointer, "b")
    assert await stored(store) == "b"


@virtual
async def test_a_plain_save_after_a_rollback_is_a_save():
    store, connection, checkpointer = await in_database()
    await in_transaction(connection, checkpointer, "a", undone=True)
    await checkpointer.save(at("a"))
    assert await stored(store) == "a"
    await checkpointer.save(at("b"))
    assert await stored(store) == "b"


@pytest.mark.parametrize("how", ["plain", "in a transaction"])
def test_what_was_rolled_back_is_not_saved_with_what_came_after_it(how):
    @virtual
    async def test():
        store, connection, checkpointer = await in_database()
        await in_transaction(connection, checkpointer, "a")
        await in_transaction(connection, checkpointer, "b", undone=True)
        for _ in range(2):
            save = (
                checkpointer.save(at("c"))
                if how == "plain"
                else in_transaction(connection, checkpointer, "c")
            )
            with pytest.raises(SaveRolledBackError):
                await save
        await checkpointer.finish(at("c"))
        assert await stored(store) == "a"

    test()


@virtual
async def test_another_consumer_is_found_out_although_its_revision_is_ours():
    store, connection, checkpointer = await in_database()
    await in_transaction(connection, checkpointer, "a", undone=True)
    other, _ = one(store)
    await other.load(QUERY)
    await other.save(at("theirs"))  # it has the revision that was rolled back
    for save in (checkpointer.save(at("a")), in_transaction(connection, checkpointer, "a")):
        with pytest.raises(StaleCheckpointError):
            await save
    assert await stored(store) == "theirs"


@virtual
async def test_closing_leaves_an_open_transaction_alone():
    store, connection, checkpointer = await in_database()
    async with connection.transaction():
        await checkpointer.save(at("a"), on=connection)
        await checkpointer.finish(at("b"))
    assert await stored(store) == "a"


# Taking over


@virtual
async def test_a_start_is_saved_and_stops_an_earlier_consumer():
    store = TroubledStore()
    earlier, _ = one(store)
    await earlier.load(QUERY)
    await earlier.save(at("a"))
    later, events = one(store)
    assert await later.load(QUERY) == at("a")
    assert isinstance(events[-1], CheckpointSaved)
    with pytest.raises(StaleCheckpointError):
        await earlier.save(at("b"))
    await later.save(at("b"))


@virtual
async def test_a_start_that_another_consumer_moves_meanwhile_is_loaded_again():
    class Contended(MemoryStore):
        async def load(self, name):
            found = await super().load(name)
            if found is not None and found.position == at("a"):
                await earlier.save(at("b"))
            return found

    store = Contended()
    earlier, _ = one(store)
    await earlier.save(at("a"))
    later, _ = one(store)
    assert await later.load(QUERY) == at("b")
    with pytest.raises(StaleCheckpointError):
        await earlier.save(at("c"))


@virtual
async def test_one_that_is_moved_again_and_again_is_left_to_the_others():
    class Contended(MemoryStore):
        async def save(self, name, position, *, after):
            await super().save(name, at("theirs"), after=after)
            return await super().save(name, position, after=after)

    checkpointer, _ = one(Contended())
    with pytest.raises(StaleCheckpointError):
        await checkpointer.load(QUERY)


@virtual
async def test_a_start_from_which_nothing_was_settled_binds_nobody():
    store = MemoryStore()
    first, _ = one(store)
    await first.load(QUERY)
    other = Query.from_wire("startTime=2025-01-01T00%3A00%3A00Z&driverIds=1")
    second, _ = one(store)
    start = await second.load(other)
    assert (start.query, start.origin) == (other.wire, other.wire)
    third, _ = one(store)
    await third.load(other)
