"""What is known of a cursor comes from the server's answers, and from nothing else."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from coachstream import CursorExpiredError, consume
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import Profile, World
from coachstream.emulator.world import DEFAULT_START
from coachstream.http.exchange import Response
from coachstream.models import Position
from coachstream.telemetry import CursorAging, CursorExpired
from coachstream.wire.query import sessions_query
from tests.support.emulated import LONG_AGO, feed, key, keys, unlimited
from tests.support.virtual_time import LeapingClock, LoopClock, pass_time, virtual

PLACES = Profile(cursors="place")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WAYS = ["loop", "loop with a store", "backfill", "consume"]


def quiet(sessions=200):
    return World(sessions=sessions, changes_per_hour=0)


class Service:
    """One user of the feed, in one of four ways; run it again and again."""

    def __init__(self, way, api, client, poll_interval=5.0):
        self._way, self._client, self._poll_interval = way, client, poll_interval
        self._end = api.now
        self.store = MemoryStore()
        self.got = []

    async def run(self, seconds=60.0, handler=None):
        if self._way == "consume":
            await self._consume(seconds, handler or self._handle)
            return
        kept = {} if self._way == "loop" else {"name": "n", "store": self.store}
        if self._way == "backfill":
            kept |= {"end_time": self._end, "readers": 3}
        else:
            kept |= {"poll_interval": self._poll_interval}
        stream = self._client.sessions.stream(start_time=LONG_AGO, **kept)
        async with stream:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for session in stream:
                        self.got.append(key(session))

    async def _handle(self, session):
        self.got.append(key(session))

    async def _consume(self, seconds, handler):
        stream = self._client.sessions.stream(
            start_time=LONG_AGO, poll_interval=self._poll_interval
        )
        running = asyncio.ensure_future(
            consume(stream, handler, name="n", store=self.store, clock=LoopClock())
        )
        await asyncio.wait((running,), timeout=seconds)
        await stream.aclose()
        await running


def deaths(events):
    return [event for event in events if isinstance(event, CursorExpired)]


class Refusing:
    """An exchange whose server refuses one cursor, so many times."""

    def __init__(self, exchange, *, after, times):
        self._exchange, self._after, self._times = exchange, after, times
        self._cursor = ""
        self.refused = 0

    async def __call__(self, method, url, **more):
        answer = await self._exchange(method, url, **more)
        cursor = url.query.get("after", "")
        if cursor and not self._cursor:
            self._after -= 1
            self._cursor = "" if self._after else cursor
        if not cursor or cursor != self._cursor or self.refused >= self._times:
            return answer
        self.refused += 1
        body = b'{"message":"invalid or expired pagination cursor","requestId":"1"}'
        return Response(400, answer.headers, body)


@virtual
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("times", [1, 2, 3, 4])
async def test_a_mistaken_refusal_is_survived(way, times):
    """At two in a row the cursor counts as dead, until the server issues it again."""
    async with feed(quiet(), profile=PLACES, page_size=10, **unlimited()) as (api, client, events):
        exchange = client._transport._exchange
        refusing = Refusing(exchange.send, after=5, times=times)
        exchange.send = refusing  # type: ignore[method-assign]  # the rim
        service = Service(way, api, client)
        await service.run()
        assert min(times, 2) <= refusing.refused <= times
        assert set(service.got) == api.world.latest()
        assert len(service.got) == len(set(service.got))
        assert len(deaths(events)) == refusing.refused // 2
        if way != "loop":
            await service.run()
            assert len(service.got) == len(set(service.got))


@virtual
@pytest.mark.parametrize("way", ["loop with a store", "consume"])
@pytest.mark.parametrize("has_next", [True, False])
async def test_thirty_quiet_days_are_no_death(way, has_next):
    profile = Profile(cursors="place", caught_up_has_next=has_next)
    more: dict[str, Any] = {"profile": profile, "page_size": 50, "cursor_life": 10_000 * DAY}
    async with feed(quiet(), **more) as (api, client, events):
        service = Service(way, api, client, poll_interval=24 * 3600)
        for days in (31, 31, 31, 31, 31):
            await service.run(seconds=days * 86_400.0)
        await service.run()
        assert set(service.got) == api.world.latest()
        assert len(service.got) == len(set(service.got))
        assert all("days old" in death.reason for death in deaths(events))


@virtual
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("after", [3, 8])
async def test_a_place_that_is_always_refused_is_passed_by(way, after):
    async with feed(quiet(400), profile=PLACES, page_size=10, **unlimited()) as (api, client, _):
        exchange = client._transport._exchange
        refusing = Refusing(exchange.send, after=after, times=1_000_000)
        exchange.send = refusing  # type: ignore[method-assign]  # the rim
        service = Service(way, api, client)
        runs = 0
        while set(service.got) != api.world.latest():
            runs += 1
            assert runs < 8, "no kept place makes every restart fail"
            try:
                await service.run()
            except CursorExpiredError:
                assert way != "loop", "it began at other places within one run"
        assert refusing.refused >= 2


@virtual
async def test_time_outs_around_steps_keep_no_refused_cursor_from_being_found_out():
    """It takes three answers, of which a time-out lets only two come."""
    more: dict[str, Any] = {"profile": PLACES, "page_size": 10, "latency": 0.45}
    async with feed(quiet(60), **more, **unlimited()) as (api, client, events):
        exchange = client._transport._exchange
        refusing = Refusing(exchange.send, after=3, times=1_000_000)
        exchange.send = refusing  # type: ignore[method-assign]  # the rim
        stream, got = client.sessions.stream(start_time=LONG_AGO), []
        for _ in range(100):
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    got.append(key(await anext(stream)))
        assert sorted(got) == sorted(api.world.latest())
        assert len(deaths(events)) == refusing.refused // 2


@virtual
@pytest.mark.parametrize("times", [2, 5, 1_000_000])
async def test_a_snapshot_stays_one_however_often_a_place_in_it_is_refused(times):
    """Its pages can't end elsewhere: it is read to its end, or fails."""
    async with feed(quiet(), profile=PLACES, page_size=50, **unlimited()) as (api, client, _):
        exchange = client._transport._exchange
        refusing = Refusing(exchange.send, after=2, times=times)
        exchange.send = refusing  # type: ignore[method-assign]  # the rim
        stream, got = client.sessions.stream(start_time=api.now, end_time=api.now), []
        try:
            got += [key(session) async for session in stream]
        except CursorExpiredError:
            assert times > 5
        else:
            assert sorted(got) == sorted(api.world.latest())
        assert len({(one.query["startTime"], one.query["endTime"]) for one in api.requests}) == 1


@virtual
async def test_a_place_that_an_earlier_release_took_for_dead_is_read_on_from():
    """It has kept the dead cursor, and the same one as where to go on."""
    async with feed(quiet(), profile=PLACES, page_size=10, **unlimited()) as (api, client, events):
        service = Service("loop with a store", api, client)
        stream = client.sessions.stream(start_time=LONG_AGO)
        first = [await anext(stream) for _ in range(11)]
        place = msgspec.structs.replace(
            stream.position, dead_cursor=stream.position.cursor, digests=()
        )
        await service.store.save("n", place, after=0)
        for _ in range(3):
            await service.run()
        assert set(service.got) >= api.world.latest() - set(keys(first))
        assert len(service.got) == len(set(service.got))
        assert len(deaths(events)) == 1


@virtual
async def test_a_clock_that_leaps_kills_no_stream():
    """Each time the cursor seems too old, so it is not sent; but the server has refused none."""
    clock = LeapingClock()
    async with feed(quiet(), client={"clock": clock}) as (api, client, events):
        stream, got = client.sessions.stream(start_time=LONG_AGO), []
        for _ in range(6):
            with suppress(TimeoutError):
                async with asyncio.timeout(30):
                    while True:
                        got.append(key(await anext(stream)))
            clock.leapt += 31 * DAY
            api.world.add_session()
        assert len(deaths(events)) == 5
        assert len(got) == len(set(got)) == 205


@virtual
async def test_deaths_far_apart_do_not_add_up():
    async with feed(quiet(), cursor_life=2 * DAY) as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO, poll_interval=6 * 3600)
        got = []
        for _ in range(6):
            try:
                async with asyncio.timeout(4 * 86_400.0):
                    while True:
                        got.append(key(await anext(stream)))
            except TimeoutError:
                api.world.add_session()
        assert len(deaths(events)) >= 5
        assert len(got) == len(set(got)) == 205


@virtual
async def test_a_cursor_that_grows_old_is_reported_each_time():
    async with feed(quiet()) as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO, poll_interval=6 * 3600)
        for _ in range(2):
            try:
                async with asyncio.timeout(27 * 86_400.0):
                    while True:
                        await anext(stream)
            except TimeoutError:
                api.world.add_session()
        assert len([event for event in events if isinstance(event, CursorAging)]) == 2
        assert deaths(events) == []


@virtual
async def test_a_dead_cursor_is_saved_before_the_next_handler_begins():
    async with feed(quiet()) as (api, client, _):
        service = Service("consume", api, client)
        await service.run()
        kept = await service.store.load("n")
        assert kept is not None
        api.world.add_session()
        api.advance(31 * DAY)
        seen = []

        async def handle(session):
            found = await service.store.load("n")
            assert found is not None
            seen.append(found.position.dead_cursor)

        await service.run(handler=handle)
        assert seen == [kept.position.cursor]


@virtual
async def test_a_dead_cursor_is_not_saved_again_with_each_page_after_it():
    async with feed(quiet(0), page_size=2) as (api, client, events):
        service = Service("consume", api, client)
        api.world.add_session()
        await service.run()
        api.advance(31 * DAY)
        for _ in range(60):
            api.world.add_session()
        await service.run()
        assert len(deaths(events)) == 1
        assert len(service.got) == 61
        kept = await service.store.load("n")
        assert kept is not None
        assert kept.revision < 15  # of thirty pages, read in six seconds


@virtual
async def test_a_death_soon_after_the_start_brings_nothing_from_before_it():
    async with feed(quiet(0), page_size=2) as (api, client, events):
        for _ in range(10):
            api.world.add_session()
            await pass_time(30)
        start = DEFAULT_START + timedelta(seconds=150)
        stream = client.sessions.stream(start_time=start)
        got = [key(await anext(stream)) for _ in range(5)]
        api.advance(31 * DAY)
        api.world.add_session()
        got.append(key(await anext(stream)))
        assert len(deaths(events)) == 1
        assert got == api.world.versions()[5:]
        assert all(request.query["startTime"] >= f"{start:%FT%T}" for request in api.requests)


@virtual
async def test_a_window_that_began_again_before_the_start_brings_nothing_from_before_it():
    """A place in it was refused each time, so it was begun earlier, and a crash kept that."""
    world = World(sessions=100, changes_per_hour=0, history=DAY)
    start, end = DEFAULT_START - 12 * HOUR, DEFAULT_START
    async with feed(world, page_size=10, **unlimited()) as (_, client, _):
        origin, store = sessions_query(start_time=start, end_time=end), MemoryStore()
        begun = origin.within(start - 2 * HOUR, start + HOUR)
        await store.save("n", Position(query=begun.wire, origin=origin.wire), after=0)
        stream = client.sessions.backfill(start_time=start, end_time=end, name="n", store=store)
        got = [session async for session in stream]
        assert got
        assert min(session.updated_at_time for session in got) >= start


@virtual
async def test_a_place_after_the_windows_that_dies_twice_a_day_brings_back_no_window():
    profile = Profile(cursors="place", caught_up_cursor="same", date_header=False)
    async with feed(quiet(100), profile=profile, cursor_life=4 * HOUR) as (api, client, events):
        for _ in range(20):
            api.world.add_session()
            await pass_time(300)
        await pass_time(3600)  # so that windows read them all
        stream = client.sessions.stream(start_time=LONG_AGO, readers=3, poll_interval=1200)
        got = [key(await anext(stream)) for _ in range(120)]
        with suppress(TimeoutError):
            async with asyncio.timeout(12 * 3600):
                got.append(key(await anext(stream)))
        assert len(deaths(events)) == 2
        assert len(got) == len(set(got))
        assert all(death.start > DEFAULT_START for death in deaths(events))
        api.world.add_session()
        got.append(key(await anext(stream)))
        assert set(got) == api.world.latest()
