"""What counts as settled: by asking for the next, by ack alone, and with more than one loop."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest

from coachstream import (
    CoachingSession,
    InvalidArgumentError,
    MalformedSessionError,
    StreamInUseError,
)
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import World, malformed_session
from coachstream.progress.checkpointer import INTERVAL
from tests.progress.stores import Connection, TroubledStore, database_store
from tests.support.emulated import LONG_AGO, feed, keys, unlimited
from tests.support.virtual_time import pass_time, virtual


def world(sessions=30):
    return World(sessions=sessions, changes_per_hour=0)


def opened(client, store=None, **more):
    saved = {} if store is None else {"name": "x", "store": store}
    return client.sessions.stream(**({"start_time": LONG_AGO} | saved | more))


async def take(stream, count):
    return [await anext(stream) for _ in range(count)]


# Settling by ack alone


async def one_by_one(stream, way):
    if way == "sessions":
        async for session in stream:
            yield session
    else:
        async for page in stream.pages():
            for session in page.sessions:
                yield session


async def write_in_batches(stream, written, *, way, fails_at=None):
    """Write ten at a time, or the rest at the end; fail before the given one."""
    batch = []
    async for session in one_by_one(stream, way):
        if len(written) + len(batch) == fails_at:
            raise ZeroDivisionError
        batch.append(session)
        await pass_time(0.3)  # so that regular saves come in between
        if way == "sessions" and len(batch) == 10:
            written.extend(batch)
            await stream.ack()
            batch = []
    written.extend(batch)
    await stream.ack()


@pytest.mark.parametrize("fails_at", [0, 9, 16, 19, 29])
@pytest.mark.parametrize("way", ["sessions", "pages"])
def test_who_acknowledges_by_hand_loses_nothing_of_a_batch(fails_at, way):
    @virtual
    async def test():
        written, store = [], MemoryStore()
        async with feed(world(), page_size=7) as (api, client, _):
            end = api.now
            with suppress(ZeroDivisionError):
                async with opened(client, store, end_time=end, settle="ack") as stream:
                    await write_in_batches(stream, written, way=way, fails_at=fails_at)
            async with opened(client, store, end_time=end, settle="ack") as stream:
                await write_in_batches(stream, written, way=way)
            assert keys(written) == sorted(api.world.latest(), key=lambda one: one[1])

    test()


@virtual
async def test_with_settle_ack_asking_for_the_next_settles_nothing_and_neither_does_closing():
    store = TroubledStore()
    async with feed(world(), page_size=7) as (_, client, _):
        async with opened(client, store, settle="ack") as stream:
            first = await take(stream, 3)
            await stream.ack()
            await take(stream, 20)
            assert stream.position.settled == tuple(one.key for one in first)
            assert stream.health.lag is not None
        assert (await store.kept()).settled == tuple(one.key for one in first)


@virtual
async def test_an_ack_settles_all_pages_that_were_handed_out():
    async with feed(world(), page_size=7) as (_, client, _):
        stream = opened(client, settle="ack")
        taken = await take(stream, 17)
        await stream.ack()
        position = stream.position
        assert position.cursor is not None
        assert position.settled == tuple(one.key for one in taken[14:])


@pytest.mark.parametrize("store", [TroubledStore(), "memory:"], ids=["a store", "a URL"])
def test_the_rest_can_be_acknowledged_after_the_end(store):
    @virtual
    async def test():
        async with feed(world(), page_size=7) as (api, client, _):
            async with opened(client, store, end_time=api.now, settle="ack") as stream:
                got = [session async for session in stream]
                assert len(got) == 30
                assert [session async for session in stream] == []
                await stream.ack()  # a store that was opened for the stream is still open
                assert [session async for session in stream] == []
                assert stream.closed
            assert stream.position.watermark == got[-1].updated_at_time
            if store != "memory:":
                assert await store.kept() == stream.position

    test()


@virtual
async def test_with_settle_ack_a_malformed_session_is_settled_with_the_rest():
    met = []

    async def settle(error):
        met.append(error)

    faults = [malformed_session(id=7)]
    async with feed(world(3), faults=faults) as (_, client, _):
        stream = opened(client, settle="ack", on_malformed=settle)
        await take(stream, 2)
        await stream.ack()
        assert len(met) == 1
        assert isinstance(met[0], MalformedSessionError)
        assert stream.position.cursor is not None


async def test_what_settle_may_be_is_checked():
    async with feed() as (_, client, _):
        with pytest.raises(InvalidArgumentError, match="^settle: "):
            opened(client, settle="sometimes")


@virtual
async def test_a_save_on_a_connection_needs_settle_ack_because_asking_would_settle_too():
    database, store = database_store()
    async with feed(world()) as (_, client, _):
        stream = opened(client, store)
        await take(stream, 3)
        with pytest.raises(InvalidArgumentError, match="^on: needs a stream with settle"):
            await stream.ack(on=Connection(database))


@virtual
async def test_nothing_is_saved_beside_an_open_transaction():
    """One transaction over several pages, with pauses longer than the interval of saves."""
    database, store = database_store()
    connection = Connection(database)
    async with feed(world(), page_size=7) as (api, client, _):
        async with opened(client, store, end_time=api.now, settle="ack") as stream:
            await anext(stream)
            async with connection.transaction():
                await stream.ack(on=connection)
                async for _ in stream:
                    await pass_time(INTERVAL * 1.5)
                    await stream.ack(on=connection)
        kept = await store.load("x")
        assert kept is not None
        assert kept.position == stream.position


# What an ack writes


@virtual
async def test_an_ack_after_each_session_writes_little():
    store = TroubledStore()
    count = 2048
    async with feed(world(count), page_size=count, **unlimited()) as (_, client, _):
        stream = opened(client, store, settle="ack")
        for _ in range(count):
            await anext(stream)
            await stream.ack()
            await pass_time(0.001)
        await pass_time(2 * INTERVAL)
        assert (await store.kept()) == stream.position
        assert store.saves <= 5
        assert store.written < 10 * count


@virtual
async def test_an_ack_is_saved_within_a_second():
    store = TroubledStore()
    async with feed(world()) as (_, client, _):
        stream = opened(client, store, settle="ack")
        for pause in (0.1, 3.0, 0.1, 0.1, 3.0):
            session = await anext(stream)
            await pass_time(pause)
            await stream.ack()
            await pass_time(INTERVAL + 0.01)
            assert session.key in (await store.kept()).settled


# More than one loop


@virtual
async def test_two_loops_never_settle_what_the_other_has_in_hand():
    async with feed(world(), page_size=7) as (_, client, _):
        stream = opened(client)
        older, newer = aiter(stream), aiter(stream)
        first, second = await take(older, 2)
        again = await anext(newer)
        assert again.key == second.key, "nobody has finished it"
        assert stream.position.settled == (first.key,)
        for _ in range(2):
            with pytest.raises(StreamInUseError, match="consume"):
                await anext(older)
        assert stream.position.settled == (first.key,)
        await anext(newer)
        assert stream.position.settled == (first.key, second.key)


@virtual
async def test_two_tasks_that_loop_are_told_and_lose_nothing():
    store = TroubledStore()
    async with feed(world(), page_size=7) as (api, client, _):
        async with opened(client, store) as stream:

            async def work(seconds, done):
                async for session in stream:
                    await pass_time(seconds)
                    done.append(session)

            done: list[list[CoachingSession]] = [[], []]
            slow = asyncio.create_task(work(100, done[0]))
            await pass_time(1)
            fast = asyncio.create_task(work(3, done[1]))
            with pytest.raises(StreamInUseError):
                await slow
            fast.cancel()
        position = await store.kept()
        async with opened(client, store) as stream:
            rest = await take(stream, len(api.world.latest()) - len(done[1]))
        finished = {one.key for one in [*done[0], *done[1]]}
        assert set(position.settled) <= finished
        assert set(keys([*done[1], *rest])) == api.world.latest()


@virtual
async def test_pages_are_loops_of_their_own_too():
    async with feed(world(), page_size=7) as (_, client, _):
        stream = opened(client)
        older, newer = stream.pages(), stream.pages()
        page = await anext(older)
        assert (await anext(newer)).sessions == page.sessions
        with pytest.raises(StreamInUseError):
            await anext(older)
        assert stream.position.settled == ()
        sessions = aiter(stream)
        assert (await anext(sessions)).key == page.sessions[0].key
        with pytest.raises(StreamInUseError):
            await anext(newer)


@virtual
async def test_with_settle_ack_a_newer_loop_gets_all_that_is_not_acknowledged():
    async with feed(world(), page_size=7) as (_, client, _):
        stream = opened(client, settle="ack")
        older = aiter(stream)
        before = await take(older, 3)
        await stream.ack()
        unacked = await take(older, 18)
        newer = aiter(stream)
        again = await take(newer, 20)
        assert [one.key for one in again[:18]] == [one.key for one in unacked]
        with pytest.raises(StreamInUseError):
            await stream.ack()  # of which loop?
        del older
        await stream.ack()
        assert keys([*before, *again]) == keys(
            sorted([*before, *again], key=lambda one: one.key[1])
        )
        assert stream.position.watermark == again[-1].updated_at_time


@virtual
async def test_a_step_beside_a_loop_is_refused_and_a_step_after_it_is_not():
    async with feed(world(), page_size=7) as (_, client, _):
        stream = opened(client)
        loop = aiter(stream)
        first = await anext(loop)
        with pytest.raises(StreamInUseError):
            await anext(stream)
        assert stream.position.settled == ()
        del loop
        second = await anext(stream)
        assert second.key != first.key
        assert stream.position.settled == (first.key,)


@virtual
async def test_steps_in_tasks_of_their_own_go_on_working():
    async with feed(world(), page_size=7) as (api, client, _):
        loop = aiter(opened(client))
        got = [await asyncio.create_task(anext(loop)) for _ in range(30)]
        assert keys(got) == sorted(api.world.latest(), key=lambda one: one[1])


@virtual
async def test_a_loop_that_begins_while_another_waits_is_refused_and_the_other_goes_on():
    async with feed() as (api, client, _):
        stream = opened(client)
        older = aiter(stream)
        waiting = asyncio.create_task(anext(older))
        await pass_time(1)
        with pytest.raises(StreamInUseError):
            await anext(aiter(stream))
        api.world.add_session()
        assert await waiting


# A malformed session that is met again and again


@virtual
async def test_an_error_that_is_raised_again_and_again_does_not_grow():
    async with feed(world(1), faults=[malformed_session()]) as (_, client, _):
        stream = opened(client)
        lengths = []
        for _ in range(200):
            with pytest.raises(MalformedSessionError) as caught:
                await anext(stream)
            lengths.append(len(caught.traceback))
        assert all(one == other for one, other in pairwise(lengths))
