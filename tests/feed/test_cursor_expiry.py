"""A dead cursor: told of once, sent at most once, and nothing lost."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from coachstream import BadRequestError, CursorExpiredError, Position, consume
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import World, refuse
from coachstream.emulator.world import DEFAULT_START
from coachstream.telemetry import CursorAging, CursorExpired
from coachstream.wire.query import sessions_query
from tests.support.emulated import LONG_AGO, feed, key
from tests.support.virtual_time import LoopClock, pass_time, virtual

DAY = timedelta(days=1)


class Consumer:
    """One service, run again and again with one store."""

    def __init__(self, client, events):
        self.store = MemoryStore()
        self.handled = []
        self._client = client
        self._events = events

    async def handle(self, session):
        self.handled.append(key(session))

    async def run(self, *, seconds=60.0, handler=None, **more):
        """Follow for a while, then stop as told."""
        stream = self._client.sessions.stream(start_time=LONG_AGO, **more)
        running = asyncio.ensure_future(
            consume(
                stream,
                handler or self.handle,
                name="service",
                store=self.store,
                clock=LoopClock(),
                observer=self._events.append,
            )
        )
        await asyncio.wait((running,), timeout=seconds)
        await stream.aclose()
        return await running


def deaths(events):
    return [event for event in events if isinstance(event, CursorExpired)]


def sent(api, cursor, since=0):
    return [one for one in list(api.requests)[since:] if one.query.get("after") == cursor]


def quiet_world():
    return World(sessions=100, changes_per_hour=0)


@virtual
async def test_a_cursor_known_to_be_too_old_is_not_sent():
    async with feed(quiet_world()) as (api, client, events):
        service = Consumer(client, events)
        old = (await service.run()).position.cursor
        seen, asked = len(service.handled), len(api.requests)
        for days in (1, 15, 31):
            api.world.add_session()
            await pass_time((days * DAY).total_seconds())
        await service.run()
        assert set(service.handled) == api.world.latest()
        assert len(service.handled) == seen + 3, "and what was settled does not come again"
        assert sent(api, old, asked) == []
        (death,) = deaths(events)
        assert "days old" in death.reason
        assert death.watermark is not None
        assert death.start == death.watermark - timedelta(minutes=15)
        # From then on all is as ever.
        await service.run()
        assert len(deaths(events)) == 1


@virtual
async def test_a_cursor_the_server_refuses_twice_is_not_sent_again_and_nothing_is_lost():
    async with feed(quiet_world()) as (api, client, events):
        service = Consumer(client, events)
        old = (await service.run()).position.cursor
        api.world.add_session()
        api.advance(31 * DAY)  # for the server; our clock does not know
        api.world.add_session()
        asked = len(api.requests)
        await service.run()
        assert set(service.handled) == api.world.latest()
        assert len(service.handled) == len(set(service.handled))
        assert [one.status for one in sent(api, old, asked)] == [400, 400]
        (death,) = deaths(events)
        assert "invalid or expired pagination cursor" in death.reason
        for _ in range(3):
            await service.run()
        assert len(sent(api, old, asked)) == 2
        assert len(deaths(events)) == 1


@virtual
async def test_a_dead_cursor_is_not_sent_again_after_a_crash():
    async with feed(quiet_world()) as (api, client, events):
        service = Consumer(client, events)
        old = (await service.run()).position.cursor
        new = api.world.add_session()
        api.advance(31 * DAY)
        asked = len(api.requests)

        async def hang(session):
            await asyncio.Event().wait()

        # The first page after the death is never settled; its cursor is therefore never saved.
        await service.run(handler=hang)
        kept = await service.store.load("service")
        assert kept is not None
        assert kept.position.dead_cursor == old
        await service.run()
        assert new in {one for one, _ in service.handled}
        assert len(sent(api, old, asked)) == 2


@virtual
async def test_what_became_visible_late_is_not_lost_with_the_cursor():
    """Just what the overlap is for: a session stamped before the last one that was seen."""
    async with feed(quiet_world()) as (api, client, events):
        service = Consumer(client, events)
        one, two = api.world.add_session(), api.world.add_session()
        served = api._api._context.world.record
        late = served.sessions[one].latest
        served._live._versions.remove(late)  # not visible yet
        await service.run()
        assert one not in {name for name, _ in service.handled}
        assert two in {name for name, _ in service.handled}
        served._live._versions.insert(-1, late)
        api.advance(31 * DAY)
        await service.run()
        assert one in {name for name, _ in service.handled}
        assert len(service.handled) == len(set(service.handled))


@virtual
async def test_a_query_that_is_bad_itself_is_told_so():
    async with feed(quiet_world()) as (api, client, events):
        service = Consumer(client, events)
        await service.run()
        api.faults.extend([refuse(400)] * 3)
        asked = len(api.requests)
        with pytest.raises(BadRequestError):
            await service.run()
        assert len(api.requests) == asked + 3
        assert deaths(events) == []
        await service.run()
        assert len(service.handled) == len(set(service.handled)) == 100


@virtual
async def test_one_may_ask_to_be_told_instead():
    async with feed(quiet_world()) as (api, client, events):
        service = Consumer(client, events)
        await service.run()
        api.advance(31 * DAY)
        with pytest.raises(CursorExpiredError, match="on_expired"):
            await service.run(on_expired="raise")
        assert deaths(events) == []


@virtual
async def test_cursors_that_keep_dying_are_a_fault_of_another_kind():
    async with feed(quiet_world(), cursor_life=timedelta(seconds=1)) as (_, client, events):
        service = Consumer(client, events)
        with pytest.raises(CursorExpiredError, match="within a day"):
            await service.run(seconds=3600)
        assert len(deaths(events)) == 3


@virtual
async def test_a_cursor_that_grows_old_is_told_of_before_it_dies():
    async with feed(quiet_world()) as (_, client, events):
        service = Consumer(client, events)
        await service.run()
        await pass_time((26 * DAY).total_seconds())
        await service.run()
        (aging,) = [event for event in events if isinstance(event, CursorAging)]
        assert 26 <= aging.days < 26.1
        assert deaths(events) == []


@virtual
async def test_a_loop_without_a_store_survives_the_death_of_its_cursor():
    async with feed(quiet_world()) as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        got = []
        with suppress(TimeoutError):
            while True:
                got.append(key(await asyncio.wait_for(anext(stream), 20)))
        api.advance(31 * DAY)
        api.world.add_session()
        got.append(key(await anext(stream)))
        assert set(got) == api.world.latest()
        assert len(got) == len(set(got))
        assert len(deaths(events)) == 1


@virtual
async def test_a_window_whose_cursor_died_begins_again_before_it_ends():
    """Some of the next window was settled, so the watermark lies beyond the window's end."""
    async with feed(World(sessions=60, now=DEFAULT_START, changes_per_hour=0), page_size=5) as one:
        api, client, events = one
        origin = sessions_query(
            start_time=DEFAULT_START - timedelta(days=90), end_time=DEFAULT_START
        )
        window = origin.within(origin.start, DEFAULT_START - 60 * DAY)
        assert window.end is not None
        rest = [at for at in api.world.latest() if datetime.fromisoformat(at[1]) >= window.end]
        place = Position(
            query=window.wire,
            origin=origin.wire,
            cursor="long dead",
            cursor_time=DEFAULT_START - 40 * DAY,
            watermark=DEFAULT_START - 50 * DAY,
        )
        store = MemoryStore()
        await store.save("n", place, after=0)
        async with client.sessions.backfill(
            start_time=origin.start, end_time=DEFAULT_START, name="n", store=store
        ) as stream:
            got = [key(session) async for session in stream]
        assert {request.status for request in api.requests} == {200}
        assert set(got) >= set(rest)
        assert len(deaths(events)) == 1
