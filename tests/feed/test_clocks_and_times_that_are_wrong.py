"""Times in the future, times out of order, clocks that are wrong: nothing is lost by them."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest

from coachstream import consume
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import Profile, World
from coachstream.emulator.world import DEFAULT_START
from coachstream.http.exchange import Response
from coachstream.models import Position
from coachstream.telemetry import CursorExpired
from coachstream.wire.query import Query, sessions_query
from tests.support.emulated import LONG_AGO, feed, keys
from tests.support.virtual_time import LeapingClock, LoopClock, pass_time, virtual

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def quiet(sessions=30, **more):
    return World(sessions=sessions, changes_per_hour=0, **more)


async def follow(stream, until_quiet=30.0):
    got = []
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(until_quiet):
                got.append(await anext(stream))
    return got


async def consumed(stream, store, seconds=30.0):
    got = []

    async def handle(session):
        got.append(session)

    running = asyncio.ensure_future(
        consume(stream, handle, name="n", store=store, clock=LoopClock())
    )
    await pass_time(seconds)
    await stream.aclose()
    await running
    return got


# A time in the future


@virtual
@pytest.mark.parametrize("readers", [1, 4])
@pytest.mark.parametrize("way", ["one loop", "a loop each time", "consume"])
async def test_a_time_in_the_future_skips_nothing_when_the_cursor_dies(way, readers):
    async with feed(quiet()) as (api, client, events):
        store, got = MemoryStore(), []

        def begin(**kept):
            return client.sessions.stream(start_time=LONG_AGO, readers=readers, **kept)

        only = begin()

        async def run():
            if way == "one loop":
                return await follow(only)
            if way == "consume":
                return await consumed(begin(), store)
            async with begin(name="n", store=store) as stream:
                return await follow(stream)

        got += await run()
        api.world.add_session(updated_at=api.now + 400 * DAY)
        got += await run()
        if way == "one loop":
            assert (only.health.lag or 0) >= 0
        api.world.add_session()
        got += await run()
        for _ in range(2):
            api.advance(31 * DAY)
            api.world.add_session()
            got += await run()
        assert sum(isinstance(event, CursorExpired) for event in events) == 2
        assert set(keys(got)) == api.world.latest()
        assert len(got) == len(set(keys(got)))


@virtual
async def test_a_place_poisoned_by_an_earlier_release_is_cut():
    async with feed(quiet()) as (api, client, _):
        store = MemoryStore()
        async with client.sessions.stream(start_time=LONG_AGO, name="n", store=store) as stream:
            got = await follow(stream)
        found = await store.load("n")
        assert found is not None
        poisoned = msgspec.structs.replace(
            found.position, watermark=api.now + 400 * DAY, digests=()
        )
        await store.save("n", poisoned, after=found.revision)
        api.advance(31 * DAY)
        api.world.add_session()
        async with client.sessions.stream(start_time=LONG_AGO, name="n", store=store) as stream:
            got += await follow(stream)
            assert (stream.health.lag or 0) >= 0
        assert set(keys(got)) == api.world.latest()
        assert len(got) == len(set(keys(got)))


@virtual
@pytest.mark.parametrize("cursor", ["empty", "same"])
@pytest.mark.parametrize("behind", [timedelta(), HOUR], ids=str)
async def test_a_restart_does_not_move_the_watermark_back(cursor, behind):
    """Though it is later than the cursor: that has not moved, or was timed by a clock behind."""
    clock = LeapingClock()
    clock.leapt = -behind
    more: dict[str, Any] = {"profile": Profile(caught_up_cursor=cursor), "page_size": 10}
    async with feed(quiet(35), **more, client={"clock": clock}) as (api, client, _):
        store = MemoryStore()
        async with client.sessions.stream(start_time=LONG_AGO, name="n", store=store) as stream:
            await follow(stream)
            await pass_time(24 * 3600)
            api.world.add_session()
            latest = (await follow(stream))[-1].updated_at_time
        async with client.sessions.stream(start_time=LONG_AGO, name="n", store=store) as stream:
            assert await follow(stream) == []
            assert stream.position.watermark == latest


@virtual
async def test_lag_and_age_are_never_negative():
    clock = LeapingClock()
    async with feed(quiet(), client={"clock": clock}) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        await follow(stream)
        clock.leapt = -400 * DAY
        assert (stream.health.lag, stream.health.cursor_age) == (0, 0)


# Times out of order


@virtual
@pytest.mark.parametrize("way", ["one loop", "a loop each time", "consume"])
async def test_times_that_went_back_are_remembered_when_the_cursor_dies(way):
    """By far more than the overlap."""
    async with feed(quiet()) as (api, client, events):
        store, got = MemoryStore(), []
        only = client.sessions.stream(start_time=LONG_AGO)

        async def run():
            if way == "one loop":
                return await follow(only)
            if way == "consume":
                return await consumed(client.sessions.stream(start_time=LONG_AGO), store)
            async with client.sessions.stream(start_time=LONG_AGO, name="n", store=store) as stream:
                return await follow(stream)

        got += await run()
        await pass_time(7200)
        for back in (0, 55, 0, 10):
            api.world.add_session(updated_at=api.now - back * MINUTE)
            got += await run()
        moment = api.now
        api.world.add_session(updated_at=moment - 50 * MINUTE)  # never seen by the old cursor
        api.advance(31 * DAY)
        got += await run()
        assert sum(isinstance(event, CursorExpired) for event in events) == 1
        assert set(keys(got)) == api.world.latest()
        assert len(got) == len(set(keys(got)))


@virtual
async def test_a_page_out_of_order_is_no_page_read_to_its_highest_time():
    """Whose cursor dies at once: the last time counts, not the highest."""
    async with feed(quiet(0), page_size=2) as (api, client, events):
        moments = [api.now - at * MINUTE for at in (300, 100, 200, 190)]
        for moment in moments:
            api.world.add_session(updated_at=moment)
        stream = client.sessions.stream(start_time=LONG_AGO)
        got = [await anext(stream), await anext(stream)]
        api.faults.clear()
        api.advance(31 * DAY)
        got += await follow(stream)
        assert sum(isinstance(event, CursorExpired) for event in events) == 1
        assert {one.updated_at_time for one in got} == set(moments)


# Clocks


@virtual
@pytest.mark.parametrize("dated", ["never", "at last", "always"])
@pytest.mark.parametrize("ahead", [HOUR, -HOUR, 30 * DAY])
async def test_a_clock_that_is_wrong_loses_nothing_while_the_past_is_read(dated, ahead):
    """Whether an answer says what time it is, or none does."""
    clock = LeapingClock()
    clock.leapt = ahead
    profile = Profile(date_header=dated == "always")
    more: dict[str, Any] = {
        "page_size": 10,
        "latency": 0.3,
        "client": {"clock": clock},
        "profile": profile,
    }
    async with feed(quiet(1000), **more) as (api, client, _):
        names = [str(one["id"]) for one in api.world.sessions()][::5]

        async def live_on():
            for number, name in enumerate(names):
                await pass_time(0.3)
                api.world.annotate(name, f"note {number}")

        life = asyncio.create_task(live_on())
        stream = client.sessions.stream(start_time=LONG_AGO, readers=5)
        got = [await anext(stream) for _ in range(400)]
        if dated == "at last":
            exchange = client._transport._exchange
            exchange.send = Dated(exchange.send, api)  # type: ignore[method-assign]  # the rim
        got += await follow(stream, 60)
        await life
        got += await follow(stream, 60)
        assert set(keys(got)) >= api.world.latest()
        assert len(got) == len(set(keys(got)))


class Dated:
    """An exchange whose server begins to say what time it is."""

    def __init__(self, exchange, api):
        self._exchange, self._api = exchange, api

    async def __call__(self, *args, **kwargs):
        answer = await self._exchange(*args, **kwargs)
        date = format_datetime(self._api.now, usegmt=True)
        return Response(answer.status, {**answer.headers, "Date": date}, answer.body)


@virtual
async def test_a_date_counts_whenever_it_comes():
    """What is read is old, so nothing but that date says how far the windows were in the past."""
    clock = LeapingClock()
    clock.leapt = HOUR
    more: dict[str, Any] = {"client": {"clock": clock}, "profile": Profile(date_header=False)}
    async with feed(quiet(300), page_size=10, **more) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, readers=5)
        got = [await anext(stream) for _ in range(150)]
        exchange = client._transport._exchange
        exchange.send = Dated(exchange.send, api)  # type: ignore[method-assign]  # the rim
        got += await follow(stream, 60)
        assert set(keys(got)) == api.world.latest()
        assert len(got) == len(set(keys(got)))
        followed = datetime.fromisoformat(api.requests[-1].query["startTime"])
        assert 15 * MINUTE <= DEFAULT_START - followed <= 15 * MINUTE + timedelta(seconds=2)


@virtual
@pytest.mark.parametrize("dated", [True, False])
async def test_no_place_is_in_a_window_that_has_yet_to_begin(dated):
    """It would mean that what will change before that window was read."""
    clock, starts, got = LeapingClock(), [], []
    clock.leapt = 2 * HOUR
    more: dict[str, Any] = {"client": {"clock": clock}, "profile": Profile(date_header=dated)}
    async with feed(quiet(0), page_size=10, **more) as (api, client, _):
        for _ in range(200):
            api.world.add_session()
            await pass_time(30)
        stream = client.sessions.stream(start_time=DEFAULT_START, readers=5)
        pages = stream.pages()
        end = api.now + 5 * MINUTE  # long after all is read
        while api.now < end:
            got += (await anext(pages)).sessions
            starts.append((Query.from_wire(stream.position.query).start, api.now))
        assert len(starts) > 20
        # The minute is what a seam may be later, where that saves reading it twice.
        assert all(start <= now - 14 * MINUTE for start, now in starts)
        assert set(keys(got)) == api.world.latest()
        assert len(got) == len(set(keys(got)))


@virtual
async def test_a_restart_with_a_clock_that_is_behind_repeats_nothing():
    """It would follow from where the windows end by that clock: before what was settled."""
    clock = LeapingClock()
    async with feed(quiet(0), page_size=20, client={"clock": clock}) as (api, client, _):
        for _ in range(120):
            api.world.add_session()
            await pass_time(5)
        await pass_time(3600)
        origin = sessions_query(start_time=DEFAULT_START - DAY)
        start, end = DEFAULT_START - HOUR, DEFAULT_START + HOUR
        first = client.sessions.stream(start_time=start, end_time=end)
        got = [one async for one in first]
        assert len(got) == 120
        place = Position(
            query=origin.within(start, end).wire,
            origin=origin.wire,
            recent=tuple(one.key for one in got),
            digests=tuple(one.content_digest for one in got),
            watermark=first.position.watermark,
        )
        store = MemoryStore()
        await store.save("n", place, after=0)
        clock.leapt = -3 * HOUR
        again = client.sessions.stream(
            start_time=DEFAULT_START - DAY, readers=5, name="n", store=store
        )
        async with again:
            assert await follow(again) == []
