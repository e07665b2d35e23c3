"""Saving beside the loop, a store in trouble, and closing, whatever hangs."""

import asyncio
import gc
import weakref
from contextlib import suppress
from unittest.mock import AsyncMock

import anyio
import pytest

from coachstream import (
    RetryPolicy,
    StaleCheckpointError,
    StoreError,
    StoreRefusedError,
    StreamState,
    consume,
)
from coachstream.checkpoints import MemoryStore
from coachstream.client import CLOSING
from coachstream.emulator import World, malformed_session, slow, stall
from coachstream.progress.checkpointer import INTERVAL, LAST_SAVE, STORE_TIMEOUT
from coachstream.tasks.supervision import OVERDUE
from coachstream.telemetry import CallOverdue, CallReturned, LoadFailed, SaveFailed
from tests.progress.stores import TroubledStore
from tests.support.emulated import LONG_AGO, feed, keys, unlimited
from tests.support.virtual_time import LoopClock, pass_time, virtual

HOUR = 3600.0


def world(sessions=30):
    return World(sessions=sessions, changes_per_hour=0)


def opened(client, store, **more):
    arguments = {"start_time": LONG_AGO, "name": "x", "store": store} | more
    return client.sessions.stream(**arguments)


async def take(stream, count):
    return [await anext(stream) for _ in range(count)]


async def handle_all(stream, seconds=0.0, done=None):
    async for session in stream:
        await pass_time(seconds)
        if done is not None:
            done.append(session)


def now():
    return LoopClock().monotonic()


# Beside the loop


@pytest.mark.parametrize("readers", [1, 3])
@pytest.mark.parametrize("backfill", [False, True])
def test_a_loop_that_is_killed_in_the_middle_of_a_page_repeats_no_more_than_a_second(
    readers, backfill
):
    @virtual
    async def test():
        store, done = TroubledStore(), []
        async with feed(world(100), page_size=100) as (api, client, _):
            if backfill:
                stream = client.sessions.backfill(
                    start_time=LONG_AGO, end_time=api.now, readers=readers, name="x", store=store
                )
            else:
                stream = opened(client, store, readers=readers)
            loop = asyncio.create_task(handle_all(stream, 0.1, done))
            await pass_time(7)
            kept = await store.kept()  # what a kill would leave
            loop.cancel()
            assert len(done) > 45
            finished = [one.key for one in done]
            settled = {*kept.settled, *kept.recent}
            assert len(settled) >= len(done) - 12
            assert settled <= set(finished)

    test()


@virtual
async def test_a_loop_whose_store_hangs_goes_on_with_its_page():
    store, done = TroubledStore(), []
    async with feed(world(50), page_size=50) as (_, client, _):
        stream = opened(client, store)
        await anext(stream)
        store.hangs = True
        loop = asyncio.create_task(handle_all(stream, 0.1, done))
        await pass_time(10)
        assert len(done) == 49
        loop.cancel()
        store.hangs = False


@virtual
async def test_when_it_has_caught_up_all_that_is_settled_is_saved_at_once():
    store = TroubledStore()
    async with feed(world(50), page_size=20) as (_, client, _):
        stream = opened(client, store)
        loop = asyncio.create_task(handle_all(stream))
        while stream.health.state != StreamState.IDLE:
            await pass_time(0.01)
        await pass_time(0.01)
        assert len(stream.position.recent) + len(stream.position.settled) == 50
        assert await store.kept() == stream.position
        loop.cancel()


@virtual
async def test_a_stream_that_is_idle_does_not_save_again_and_again():
    store = TroubledStore()
    async with feed(world(50), page_size=20) as (_, client, _):
        stream = opened(client, store)
        loop = asyncio.create_task(handle_all(stream))
        await pass_time(60)
        saves = store.saves
        await pass_time(300)
        assert store.saves == saves
        loop.cancel()


@virtual
async def test_the_start_is_saved_before_anything_is_read():
    """A service that computes its start at each boot must not move it on while it reads nothing."""
    store = TroubledStore()
    async with feed(world(), faults=[stall(1e6)] * 9) as (_, client, _):
        stream = opened(client, store)
        waiting = asyncio.create_task(anext(stream))
        await pass_time(2 * INTERVAL)
        assert (await store.kept()).cursor is None
        waiting.cancel()


# A store in trouble


@virtual
async def test_a_store_that_is_away_ends_neither_the_loop_nor_its_start():
    store, done = TroubledStore(), []
    async with feed(world(50), page_size=5) as (api, client, events):
        store.error = OSError("away")
        stream = opened(client, store)
        loop = asyncio.create_task(handle_all(stream, 0.01, done))
        await pass_time(HOUR)
        assert (stream.health.state, stream.health.last_error) == (
            StreamState.RETRYING,
            "StoreError: MemoryStore(): loading 'x' failed (away). Check its storage.",
        )
        assert stream.health.failures > 10
        assert any(isinstance(event, LoadFailed) for event in events)
        store.error = None
        await pass_time(60)
        assert len(done) == 50
        assert stream.health.state == StreamState.IDLE
        store.error = OSError("away again")
        api.world.add_session()
        await pass_time(HOUR)
        health = stream.health
        assert (health.state, health.last_error) == (
            StreamState.RETRYING,
            "StoreError: MemoryStore(): saving 'x' failed (away again). Check its storage.",
        )
        assert any(isinstance(event, SaveFailed) for event in events)
        store.error = None
        await pass_time(60)
        assert (stream.health.state, stream.health.failures) == (StreamState.IDLE, 0)
        assert await store.kept() == stream.position
        loop.cancel()


@pytest.mark.parametrize("way", ["sessions", "pages"])
@pytest.mark.parametrize("readers", [1, 3])
def test_a_save_that_fails_for_good_while_a_page_is_on_its_way_loses_no_page(way, readers):
    """The loop gets the error once, and goes on: with the page, and with saving."""

    @virtual
    async def test():
        store, done, errors = TroubledStore(), [], []
        more = {"readers": readers}
        async with feed(world(60), page_size=10, **unlimited()) as (api, client, _):
            stream = opened(client, store, **more, end_time=api.now)
            while not stream.closed:
                try:
                    async for one in stream if way == "sessions" else stream.pages():
                        done += [one] if way == "sessions" else one.sessions
                        if len(done) == 20:
                            store.error = PermissionError("no")  # time does not mend that
                            api.faults.extend([slow(3.0)] * 3)
                except StoreRefusedError as error:
                    errors.append(error)
                    store.error = None
            assert len(errors) == 1
            assert sorted(keys(done)) == sorted(api.world.latest())
            assert await store.kept() == stream.position

    test()


@virtual
async def test_what_is_handled_and_not_saved_stays_bounded():
    store, done = TroubledStore(), []
    async with feed(world(500), page_size=10) as (_, client, _):
        stream = opened(client, store)
        await anext(stream)
        store.error = OSError("away")
        loop = asyncio.create_task(handle_all(stream, 0.01, done))
        await pass_time(HOUR)
        assert len(done) < 100
        store.error = None
        await pass_time(300)
        assert len(done) == 499
        loop.cancel()


@virtual
async def test_a_consumer_whose_store_is_away_reads_no_further_and_goes_on_later():
    store, done = TroubledStore(), []

    async def handle(session):
        done.append(session)
        if len(done) == 20:
            store.error = OSError("away")

    async with feed(world(500), page_size=10) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        running = asyncio.create_task(
            consume(stream, handle, name="x", store=store, clock=LoopClock())
        )
        await pass_time(HOUR)
        assert len(done) < 200
        assert (stream.health.state, stream.health.last_error) == (
            StreamState.RETRYING,
            "StoreError: MemoryStore(): saving 'x' failed (away). Check its storage.",
        )
        store.error = None
        await pass_time(300)
        assert len(done) == 500
        assert stream.health.state == StreamState.IDLE
        await stream.aclose()
        await running


@pytest.mark.parametrize("way", ["loop", "consume"])
def test_the_clients_policy_bounds_the_patience_with_the_store(way):
    @virtual
    async def test():
        store = TroubledStore()
        policy = RetryPolicy(give_up_after=60)
        async with feed(world(), client={"retry": policy}) as (api, client, _):

            async def work():
                if way == "loop":
                    await handle_all(opened(client, store))
                else:
                    stream = client.sessions.stream(start_time=LONG_AGO)
                    await consume(stream, AsyncMock(), name="x", store=store, clock=LoopClock())

            working = asyncio.create_task(work())
            await pass_time(10)
            store.error = OSError("away")
            api.world.add_session()
            began = now()
            with pytest.raises(StoreError, match="away"):
                await working
            assert 10 < now() - began < 60 + 2 * LAST_SAVE
            store.error = None

    test()


@virtual
async def test_a_load_that_hangs_is_no_start_without_end():
    store = TroubledStore()
    store.hangs = True
    async with feed(world()) as (_, client, events):
        stream = opened(client, store)
        reading = asyncio.create_task(anext(stream))
        await pass_time(STORE_TIMEOUT + 1)
        health = stream.health
        assert health.state == StreamState.RETRYING
        assert "loading 'x' did not end within 30 s" in health.last_error
        failed = next(event for event in events if isinstance(event, LoadFailed))
        assert isinstance(failed.error, StoreError)
        assert isinstance(failed.error.__cause__, TimeoutError)
        store.hangs = False
        assert await reading


@virtual
async def test_a_save_that_hangs_is_readable():
    store = TroubledStore()
    async with feed(world()) as (api, client, events):
        stream = opened(client, store)
        loop = asyncio.create_task(handle_all(stream))
        await pass_time(60)
        store.hangs = True
        api.world.add_session()
        await pass_time(5 + STORE_TIMEOUT + 1)
        assert CallOverdue(what="saving 'x'", seconds=OVERDUE) in events
        health = stream.health
        assert (health.state, health.failures) == (StreamState.RETRYING, 1)
        assert "saving 'x' did not end within 30 s" in health.last_error
        store.hangs = False
        await pass_time(60)
        assert stream.health.state == StreamState.IDLE
        loop.cancel()


@virtual
async def test_closing_ends_an_ack_that_waits_for_the_store():
    store = TroubledStore()
    async with feed(world()) as (_, client, _):
        stream = opened(client, store)
        await take(stream, 1)
        await pass_time(2 * INTERVAL)  # so that a save is due
        store.error = OSError("away")
        acks = [asyncio.ensure_future(stream.ack()) for _ in range(2)]
        await pass_time(HOUR)
        assert not any(ack.done() for ack in acks)
        with pytest.raises(StoreError, match="away"):
            await client.aclose()
        for ack in acks:
            with pytest.raises(StoreError, match="away"):
                await ack
        with pytest.raises(StoreError, match="away"):
            await stream.ack()
        store.error = None
        await stream.ack()
        assert (await store.kept()).settled


@virtual
async def test_a_callback_that_hangs_is_reported_and_readable_as_stalled():
    released = asyncio.Event()

    async def settle(_):
        await released.wait()

    async with feed(world(3), faults=[malformed_session()]) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
        reading = asyncio.create_task(take(stream, 2))
        await pass_time(OVERDUE + 10)
        stalled = stream.health
        assert CallOverdue(what="on_malformed", seconds=OVERDUE) in events
        released.set()
        await reading
        following = stream.health
        assert (stalled.state, following.state) == (StreamState.STALLED, StreamState.FOLLOWING)
        assert stalled.state_age == pytest.approx(10, abs=0.5)
        assert any(isinstance(event, CallReturned) for event in events)


@virtual
async def test_a_callback_that_raises_a_cancellation_cancels_nobody():
    async def settle(_):
        raise asyncio.CancelledError

    async with feed(world(3), faults=[malformed_session()]) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
        with pytest.raises(RuntimeError, match="on_malformed raised CancelledError"):
            await take(stream, 3)


# Closing


@virtual
async def test_a_cancelled_close_saves_all_the_same_while_a_page_is_under_way():
    store = TroubledStore()
    async with feed(world(20), page_size=10, latency=3.0) as (_, client, _):
        stream = opened(client, store)
        got = await take(stream, 10)
        waiting = asyncio.create_task(anext(stream))
        await pass_time(0.01)
        closing = asyncio.create_task(stream.aclose())
        await pass_time(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        kept = await store.kept()
        assert kept.watermark == got[-1].updated_at_time
        with pytest.raises(StopAsyncIteration):
            await waiting


class SlowStore(MemoryStore):
    """A store whose saves take some time."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    async def save(self, name, position, *, after):
        await pass_time(self.seconds)
        return await super().save(name, position, after=after)


@pytest.mark.parametrize("cancellations", [1, 3])
@pytest.mark.parametrize("what", ["stream", "client"])
def test_a_cancellation_that_meets_the_last_save_does_not_lose_it(cancellations, what):
    @virtual
    async def test():
        stores = [SlowStore(2.0) for _ in range(3)]
        async with feed(world()) as (_, client, _):
            streams = [opened(client, store) for store in stores]
            got = [(await take(stream, 5))[3] for stream in streams]
            await pass_time(5)
            for stream in streams:
                await anext(stream)
            if what == "stream":
                closing = [asyncio.create_task(stream.aclose()) for stream in streams]
            else:
                closing = [asyncio.create_task(client.aclose())]
            for _ in range(cancellations):
                await pass_time(0.3)
                for task in closing:
                    task.cancel()
            for task in closing:
                with pytest.raises(asyncio.CancelledError):
                    await task
            for store, session in zip(stores, got, strict=True):
                kept = await store.load("x")
                assert kept is not None
                assert len(kept.position.settled) == 5
                assert session.key in kept.position.settled

    test()


@virtual
async def test_a_client_closes_all_at_once_within_one_bound_and_the_healthy_one_is_saved():
    hanging, healthy = [TroubledStore() for _ in range(5)], TroubledStore()
    async with feed(world()) as (_, client, _):
        streams = [opened(client, store) for store in [*hanging, healthy]]
        for stream in streams:
            await take(stream, 4)
        for store in hanging:
            store.hangs = True
        began = now()
        with pytest.raises(StoreError, match="'x' failed \\(the last save did not end in time"):
            await client.aclose()
        assert now() - began <= CLOSING
        assert len((await healthy.kept()).settled) == 3


@virtual
async def test_a_client_closes_in_time_whatever_its_tasks_do():
    async with feed(world()) as (_, client, _):
        ended = asyncio.Event()

        async def stubborn():
            while not ended.is_set():
                with suppress(asyncio.CancelledError):
                    await ended.wait()

        client._runtime.tasks.start(stubborn())
        await pass_time(0)
        began = now()
        with pytest.raises(TimeoutError):
            await client.aclose()
        assert now() - began <= CLOSING + 0.1
        ended.set()


async def handle_all_and_close(stream, how):
    """Handle sessions until the loop is cancelled, and close the stream."""
    if how == "async with":
        async with stream:
            await handle_all(stream, 0.1)
    else:
        try:
            await handle_all(stream, 0.1)
        finally:
            await stream.aclose()


@pytest.mark.parametrize("how", ["async with", "aclose"])
def test_a_cancelled_loop_whose_save_hangs_is_cancelled_and_not_timed_out(how):
    @virtual
    async def test():
        store = TroubledStore()
        async with feed(world(), page_size=5) as (_, client, _):
            loop = asyncio.create_task(handle_all_and_close(opened(client, store), how))
            await pass_time(1.5)
            store.hangs = True
            await pass_time(5)
            loop.cancel()
            began = now()
            with pytest.raises(asyncio.CancelledError):
                await loop
            assert now() - began <= LAST_SAVE + 0.1

    test()


@pytest.mark.parametrize("how", ["async with", "aclose"])
def test_a_scope_of_anyio_around_a_loop_ends_whatever_the_last_save_does(how):
    @virtual
    async def test():
        store = TroubledStore()
        async with feed(world(), page_size=5) as (_, client, _):
            asyncio.get_running_loop().call_later(1.5, setattr, store, "hangs", True)
            with anyio.move_on_after(6.5) as scope:
                await handle_all_and_close(opened(client, store), how)
            assert scope.cancelled_caught

    test()


@virtual
async def test_a_last_save_that_fails_does_not_hide_the_loops_own_error():
    store = TroubledStore()
    async with feed(world()) as (_, client, _):

        async def work():
            async with opened(client, store) as stream:
                await take(stream, 3)
                store.error = OSError("away")
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine") as caught:
            await work()
        assert "away" in caught.value.__notes__[0]


@virtual
async def test_two_who_close_both_wait_for_the_last_save():
    store = SlowStore(2.0)
    async with feed(world()) as (_, client, _):
        stream = opened(client, store)
        await take(stream, 3)
        first = asyncio.create_task(stream.aclose())
        await pass_time(1)
        await client.aclose()
        assert first.done()
        assert await store.load("x") is not None


# Streams that nobody holds any more


@virtual
async def test_streams_that_are_dropped_are_not_kept_and_what_they_settled_is_saved():
    stores = [TroubledStore() for _ in range(40)]
    async with feed(world()) as (_, client, _):
        streams = []
        for store in stores:
            stream = opened(client, store)
            await take(stream, 4)
            streams.append(weakref.ref(stream))
        del stream
        await pass_time(1)
        assert [one for one in streams if one() is not None] == []
        assert client._streams.closers == []
        for store in stores:
            assert len((await store.kept()).settled) == 3
    assert len(asyncio.all_tasks()) == 1


@virtual
async def test_streams_that_were_closed_are_not_kept():
    async with feed(world()) as (_, client, _):
        streams = []
        for _ in range(40):
            async with opened(client, MemoryStore()) as stream:
                await take(stream, 4)
            streams.append(weakref.ref(stream._source))
        del stream
        gc.collect()
        assert [one for one in streams if one() is not None] == []
        assert client._streams.closers == []


@virtual
async def test_a_loop_that_was_left_goes_on_where_it_was_in_the_next():
    store, got = TroubledStore(), []
    async with feed(world()) as (_, client, _):
        for _ in range(6):
            count = 0
            async for session in opened(client, store):
                got.append(session.key)
                count += 1
                if count == 5:
                    break
    assert len(got) == 30
    assert len(set(got)) == 30 - 5  # each run repeats the one that was in hand


@virtual
async def test_a_stream_that_outlives_its_younger_sibling_spoils_nothing():
    store = TroubledStore()
    async with feed(world()) as (_, client, _):
        older = opened(client, store)
        await take(older, 4)
        await pass_time(2)
        await take(older, 2)
        async with opened(client, store) as younger:
            await take(younger, 9)
        await client.aclose()
        kept = await store.kept()
        assert len(kept.settled) == 3 + 8


@virtual
async def test_a_stream_waits_for_the_last_save_of_the_one_before_it():
    store = SlowStore(3.0)
    async with feed(world()) as (_, client, _):
        stream = opened(client, store)
        await take(stream, 4)
        await pass_time(5)
        third = (await take(stream, 1))[0]
        stream = opened(client, store)
        assert (await anext(stream)).key == third.key


@virtual
async def test_another_consumer_is_found_out_when_closing():
    store = TroubledStore()
    async with feed(world()) as (_, client, _):
        stream = opened(client, store)
        await take(stream, 4)
        await pass_time(2)
        found = await store.load("x")
        assert found is not None
        await store.save("x", found.position, after=found.revision)
        await take(stream, 2)
        with pytest.raises(StaleCheckpointError):
            await stream.aclose()
