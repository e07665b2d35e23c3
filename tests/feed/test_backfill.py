"""The past by windows: as fast as the limit, in order, resumable, and nothing lost at the seams."""

import asyncio
import re
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from inspect import signature
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from coachstream import (
    Client,
    ClosedError,
    ForbiddenError,
    InvalidArgumentError,
    Position,
    StreamState,
    consume,
)
from coachstream.checkpoints import MappingStore, MemoryStore
from coachstream.emulator import (
    Profile,
    World,
    cut_short,
    garble,
    hang_up,
    refuse,
    serve,
    stall,
)
from coachstream.emulator.clock import stamp_text, to_ms
from coachstream.emulator.world import DEFAULT_START as BIRTH
from coachstream.feed import parallel as past_pages
from coachstream.telemetry import BackfillProgress, PageRead, RetryScheduled
from coachstream.wire.query import Query, sessions_query
from tests.support.emulated import LONG_AGO, feed, key, keys, most_in_a_second, unlimited
from tests.support.virtual_time import LeapingClock, LoopClock, pass_time, virtual

YEAR_AGO = BIRTH - timedelta(days=365)


def past(sessions=600, **more):
    """A world of the tests' own time, in which nothing happens of itself."""
    return World(sessions=sessions, now=BIRTH, **({"changes_per_hour": 0} | more))


def latest(api):
    left = api.world.latest()
    return [one for one in api.world.versions() if one in left]


async def everything(client, readers=5, **more):
    bounds = {"start_time": YEAR_AGO, "end_time": BIRTH} | more
    async with client.sessions.backfill(readers=readers, **bounds) as sessions:
        return [session async for session in sessions]


@virtual
@pytest.mark.parametrize("readers", [1, 2, 5, 9])
async def test_it_reads_what_a_stream_would_in_the_same_order(readers):
    async with feed(past(), page_size=20, **unlimited()) as (api, client, _):
        assert keys(await everything(client, readers)) == latest(api)


@virtual
@pytest.mark.parametrize("profile", Profile.every(), ids=str)
async def test_it_reads_everything_once_however_the_api_behaves(profile):
    async with feed(past(300), page_size=(5, 20), profile=profile, **unlimited()) as (
        api,
        client,
        _,
    ):
        got = keys(await everything(client))
        wanted = api.world.versions() if profile.versions == "every" else latest(api)
        assert got == wanted


@pytest.mark.parametrize("latency", [0.3, 1.0])
@virtual
async def test_the_limit_is_used_up_and_never_exceeded(latency):
    async with feed(past(3000), page_size=10, latency=latency) as (api, client, _):
        end = BIRTH - timedelta(hours=1)
        got = keys(await everything(client, end_time=end))
        assert got == [one for one in latest(api) if one[1] < f"{end:%FT%T}"]
        times = [request.at for request in api.requests]
        assert {request.status for request in api.requests} == {200}
        assert most_in_a_second(times) <= 5
        assert (len(times) - 1) / (times[-1] - times[0]) >= 0.97 * 5


@virtual
async def test_it_asks_for_few_pages_more_than_one_reader_would():
    async with feed(past(3000), page_size=10, **unlimited()) as (api, client, _):
        await everything(client)
        assert len(api.requests) <= 1.3 * 300


@virtual
async def test_a_slow_reader_keeps_few_pages_waiting(monkeypatch):
    monkeypatch.setattr(past_pages, "AHEAD", 3 * 100_000)  # some ten pages
    async with feed(past(3000), page_size=50, gzip=False, **unlimited()) as (_, client, events):
        stream = client.sessions.backfill(start_time=YEAR_AGO, end_time=BIRTH, readers=3)
        for taken in range(1, 2000):
            await anext(stream)
            if taken % 100 == 0:
                await pass_time(60)
                read = sum(event.sessions for event in events if isinstance(event, PageRead))
                size = sum(event.size for event in events if isinstance(event, PageRead))
                # What may wait, a page in hand, and for each reader one that came meanwhile.
                assert (read - taken) / read * size <= 3 * 300_000 + (3 + 1) * 50_000
        await stream.aclose()


@virtual
async def test_the_bound_on_what_waits_is_for_what_waits_not_for_all_that_is_read(monkeypatch):
    """Many times as much goes through it, as fast as the limit allows."""
    monkeypatch.setattr(past_pages, "AHEAD", 40_000)  # some four pages
    async with feed(past(3000), page_size=10, latency=0.3, gzip=False) as (api, client, events):
        await everything(client, end_time=BIRTH - timedelta(hours=1))
        size = sum(event.size for event in events if isinstance(event, PageRead))
        assert size > 3 * 5 * 40_000
        times = [request.at for request in api.requests]
        assert (len(times) - 1) / (times[-1] - times[0]) >= 0.97 * 5


@virtual
@pytest.mark.parametrize("hours", [0, 1])
async def test_only_the_very_last_page_says_that_there_is_no_more(hours):
    """Whether windows reach the end, or something recent is left to follow."""
    async with feed(past(300), page_size=10, **unlimited()) as (api, client, _):
        end = BIRTH - timedelta(hours=hours)
        stream = client.sessions.backfill(start_time=YEAR_AGO, end_time=end)
        pages = [page async for page in stream.pages()]
        assert [page.has_next_page for page in pages] == [True] * (len(pages) - 1) + [False]
        got = [one for page in pages for one in page.sessions]
        assert keys(got) == [one for one in latest(api) if one[1] < f"{end:%FT%T}"]


@virtual
async def test_windows_touch_and_carry_the_filters_and_no_other_time():
    async with feed(past(), page_size=20, **unlimited()) as (api, client, _):
        await everything(client, session_statuses=["upcoming", "completed"])
        windows = {(one.query["startTime"], one.query["endTime"]) for one in api.requests}
        in_order = sorted(windows)
        assert len(in_order) > 5
        assert all(one[1] == next_one[0] for one, next_one in pairwise(in_order))
        assert {one.query["sessionStatuses"] for one in api.requests} == {"upcoming,completed"}


@virtual
async def test_a_backfill_that_was_broken_off_goes_on_where_it_was():
    async with feed(past(2000), page_size=10, **unlimited()) as (api, client, _):
        kept: dict[str, bytes] = {}
        store, chance, got, runs = MappingStore(kept), Random(4), [], 0
        while True:
            runs += 1
            async with client.sessions.backfill(
                start_time=YEAR_AGO, end_time=BIRTH, name="b", store=store
            ) as sessions:
                left = chance.randrange(1, 400)
                async for session in sessions:
                    got.append(session)
                    left -= 1
                    if not left:
                        break
                else:
                    break
        assert runs > 5
        # The one in hand when the loop was left comes again, and nothing else.
        assert len(got) == 2000 + runs - 1
        assert list(dict.fromkeys(keys(got))) == latest(api)
        assert all(len(value) < 60_000 for value in kept.values())


@virtual
async def test_what_is_kept_stays_small_when_every_window_ends_without_a_cursor():
    profile = Profile(terminal_cursor="empty")
    async with feed(past(2000), page_size=500, profile=profile, **unlimited()) as (_, client, _):
        stream = client.sessions.backfill(start_time=YEAR_AGO, end_time=BIRTH)
        most = 0
        async for _ in stream:
            most = max(most, len(stream.position.settled))
        assert most <= 2 * 500


@virtual
async def test_faults_lose_and_repeat_nothing():
    faults = [hang_up(), garble(), refuse(503), cut_short(), stall(), refuse(429), serve()] * 3
    async with feed(past(), page_size=20, faults=faults) as (api, client, events):
        assert keys(await everything(client)) == latest(api)
        assert sum(isinstance(event, RetryScheduled) for event in events) >= 18


@virtual
async def test_a_refusal_is_raised_and_asking_again_goes_on():
    faults = [*[serve()] * 6, refuse(403)]
    async with feed(past(), page_size=20, faults=faults, **unlimited()) as (api, client, _):
        stream = client.sessions.backfill(start_time=YEAR_AGO, end_time=BIRTH)
        got, refused = [], 0
        while True:
            try:
                got.append(await anext(stream))
            except StopAsyncIteration:
                break
            except ForbiddenError:
                refused += 1
        assert refused == 1
        assert keys(got) == latest(api)


@virtual
async def test_progress_is_told_window_by_window():
    async with feed(past(2000), page_size=10) as (api, client, events):
        first = datetime.fromisoformat(api.world.versions()[0][1])
        got = await everything(client, start_time=first)
        told = [event for event in events if isinstance(event, BackfillProgress)]
        assert len(told) > 10
        assert [one.windows for one in told] == list(range(1, len(told) + 1))
        assert told[-1].sessions <= len(got)
        assert told[-1].until == BIRTH - timedelta(minutes=15)
        assert (told[-1].share, told[-1].seconds_left) == (1, 0)
        assert all(one.share < next_one.share for one, next_one in pairwise(told))
        half = next(one for one in told if one.share > 0.5)
        seconds = api.requests[-1].at - api.requests[0].at
        assert half.seconds_left == pytest.approx(seconds / 2, rel=0.5)


@virtual
async def test_closing_ends_all_that_is_under_way():
    async with feed(past(), page_size=20, latency=30, **unlimited()) as (api, client, _):
        before = asyncio.all_tasks()
        async with client.sessions.backfill(start_time=YEAR_AGO, end_time=BIRTH) as stream:
            await anext(stream)
        asked = len(api.requests)
        assert stream.health.state is StreamState.STOPPED
        await pass_time(3600)
        assert len(api.requests) == asked
        assert len(asyncio.all_tasks() - before) == 0


@virtual
@pytest.mark.parametrize("steps", range(8))
async def test_closing_while_the_position_is_loaded_leaves_nothing_under_way(steps):
    async with feed(past(), page_size=20, **unlimited()) as (api, client, _):
        stream = client.sessions.backfill(
            start_time=YEAR_AGO, end_time=BIRTH, name="n", store=MemoryStore()
        )
        waiting = asyncio.ensure_future(anext(stream, None))
        for _ in range(steps):
            await asyncio.sleep(0)  # noqa: TID251  # one step of the event loop
        await stream.aclose()
        asked = len(api.requests)
        await pass_time(60)
        assert len(api.requests) == asked
        assert await waiting is None


@virtual
async def test_steps_after_the_client_was_closed_never_hang():
    async with feed(past(), page_size=20, latency=1.0, **unlimited()) as (_, client, _):
        stream = client.sessions.backfill(start_time=YEAR_AGO, end_time=BIRTH)
        await anext(stream)
        await client.aclose()
        errors = 0
        while errors < 20:
            try:
                async with asyncio.timeout(3600):
                    await anext(stream)
            except ClosedError:
                errors += 1


@virtual
async def test_a_time_out_around_a_step_loses_and_repeats_nothing():
    async with feed(past(), page_size=20, latency=7.0, **unlimited()) as (api, client, _):
        stream = client.sessions.backfill(start_time=YEAR_AGO, end_time=BIRTH)
        got, late = [], 0
        while True:
            try:
                async with asyncio.timeout(0.9):
                    got.append(await anext(stream))
            except TimeoutError:
                late += 1
            except StopAsyncIteration:
                break
        assert late > 10
        assert keys(got) == latest(api)


@virtual
async def test_a_consumer_of_a_backfill_handles_each_drivers_sessions_in_order():
    profile = Profile(versions="every")
    async with feed(past(), page_size=20, profile=profile, **unlimited()) as (api, client, _):
        handled = defaultdict(list)
        chance = Random(1)

        async def handle(session):
            await pass_time(chance.random())
            handled[session.driver.driver_id].append(key(session))

        stream = client.sessions.backfill(start_time=YEAR_AGO, end_time=BIRTH)
        report = await consume(stream, handle, name="n", store={})
        assert report.handled == len(api.world.versions())
        order = {version: place for place, version in enumerate(api.world.versions())}
        for versions in handled.values():
            assert versions == sorted(versions, key=order.__getitem__)


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        ({"end_time": YEAR_AGO}, "end_time"),
        ({"end_time": None}, "end_time"),
        ({"end_time": LONG_AGO}, "end_time"),
        ({"readers": 0}, "readers"),
        ({"readers": 1.5}, "readers"),
        ({"start_time": datetime(2025, 1, 1)}, "start_time"),  # noqa: DTZ001  # that is wrong
        ({"driver_ids": []}, "driver_ids"),
        ({"name": "n"}, "store"),
        ({"store": {}}, "name"),
        ({"on_expired": "ignore"}, "on_expired"),
    ],
)
@virtual
async def test_what_makes_no_sense_is_refused_at_once(wrong, argument):
    async with feed() as (_, client, _):
        arguments = {"start_time": YEAR_AGO, "end_time": BIRTH} | wrong
        with pytest.raises(InvalidArgumentError) as refused:
            client.sessions.backfill(**arguments)
        assert refused.value.argument == argument


async def test_what_a_backfill_is_given_is_given_to_its_stream(monkeypatch):
    async with Client("any") as client:
        stream_takes = signature(client.sessions.stream).parameters
        arguments: dict[str, Any] = {
            name: object() for name in signature(client.sessions.backfill).parameters
        }
        arguments |= {"start_time": YEAR_AGO, "end_time": BIRTH}
        given = []
        monkeypatch.setattr(client.sessions, "stream", lambda **passed: given.append(passed))
        client.sessions.backfill(**arguments)
        assert given == [arguments]
        assert stream_takes.keys() - arguments.keys() == {"after", "poll_interval"}


# And then to follow


async def follow(stream, until_quiet=30.0):
    got = []
    try:
        while True:
            async with asyncio.timeout(until_quiet):
                got.append(await anext(stream))
    except TimeoutError:
        return got


@virtual
@pytest.mark.parametrize("profile", Profile.every(), ids=str)
async def test_reading_the_past_leads_on_to_following(profile):
    async with feed(past(), page_size=20, profile=profile) as (api, client, _):
        stream = client.sessions.stream(start_time=YEAR_AGO, readers=4)
        got = keys(await follow(stream))
        wanted = api.world.versions() if profile.versions == "every" else latest(api)
        assert got == wanted
        one = api.world.sessions()[0]["id"]
        api.world.annotate(str(one), "later")
        assert keys(await follow(stream)) == [api.world.versions()[-1]]
        assert len({request.query["startTime"] for request in api.requests}) > 5


@virtual
async def test_sessions_that_change_while_the_past_is_read_are_not_lost():
    async with feed(past(2000), page_size=10, latency=0.3) as (api, client, _):
        chance = Random(3)
        changed = chance.sample([str(one["id"]) for one in api.world.sessions()], 200)

        async def live_on():
            for one in changed:
                await pass_time(0.2)
                api.world.annotate(one, "changed meanwhile")

        before = api.world.latest()
        life = asyncio.create_task(live_on())
        stream = client.sessions.stream(start_time=YEAR_AGO, readers=5)
        got = keys(await follow(stream))
        await life
        assert set(got) >= api.world.latest()
        assert set(got) <= api.world.latest() | before
        assert len(got) == len(set(got))
        assert {request.status for request in api.requests} == {200}


@virtual
@pytest.mark.parametrize("ahead", [timedelta(hours=-5), timedelta(hours=5)], ids=["fast", "slow"])
async def test_a_clock_that_is_wrong_loses_nothing(ahead):
    """Ours is fast, or slow, by hours."""
    world = World(sessions=1000, now=BIRTH + ahead, changes_per_hour=0)
    async with feed(world, page_size=10, latency=0.3) as (api, client, _):
        chance = Random(3)
        changed = chance.sample([str(one["id"]) for one in api.world.sessions()], 200)

        async def live_on():
            for one in changed:
                await pass_time(0.4)  # longer than the past takes to be read
                api.world.annotate(one, "changed meanwhile")

        life = asyncio.create_task(live_on())
        got = keys(await follow(client.sessions.stream(start_time=YEAR_AGO, readers=5)))
        await life
        assert set(got) >= api.world.latest()


@virtual
async def test_a_clock_that_is_put_right_while_the_past_is_read_loses_nothing():
    """It was fast by five hours when reading began; what changed since then comes all the same."""
    clock = LeapingClock()
    clock.leapt = timedelta(hours=5)
    async with feed(past(300), page_size=10, client={"clock": clock}) as (api, client, _):
        stream = client.sessions.stream(start_time=YEAR_AGO, readers=2)
        got = keys([await anext(stream) for _ in range(10)])
        clock.leapt = timedelta()
        got += keys([await anext(stream) for _ in range(len(api.world.latest()) - 12)])
        await pass_time(600)  # in which all of the past is read, and the last of it in hand
        api.world.annotate(str(api.world.sessions()[0]["id"]), "changed meanwhile")
        got += keys(await follow(stream))
        assert set(got) >= api.world.latest()
        assert len(got) == len(set(got))


@virtual
async def test_what_became_visible_late_is_found_in_the_overlap():
    """Its time lies before reading began, and its window was read before it could be seen."""
    async with feed(past(30), page_size=10, **unlimited()) as (api, client, _):
        name = api.world.add_session()
        record = api.world.record
        late = record.sessions[name].latest
        record._live._versions.remove(late)  # not visible yet
        await pass_time(60)
        stream = client.sessions.stream(start_time=YEAR_AGO, readers=3)
        got = keys([await anext(stream) for _ in range(25)])
        await pass_time(60)  # in which the rest of the past is read
        record._live._versions.append(late)
        got += keys(await follow(stream))
        assert set(got) == api.world.latest()
        assert len(got) == len(set(got))


@virtual
async def test_no_place_is_in_a_window_that_has_yet_to_begin():
    """Our clock is fast by hours: what will change in them has not been read."""
    clock, starts = LeapingClock(), []
    clock.leapt = timedelta(hours=5)
    async with feed(past(100), client={"clock": clock}) as (api, client, events):

        class Store(MemoryStore):
            async def save(self, name, position, *, after):
                starts.append((Query.from_wire(position.query).start, api.now))
                return await super().save(name, position, after=after)

        start = BIRTH - timedelta(hours=1)
        stream = client.sessions.stream(start_time=start, readers=5, name="n", store=Store())
        async with stream:
            await follow(stream)
        assert starts
        assert all(window <= now for window, now in starts)
        assert len([one for one in events if isinstance(one, BackfillProgress)]) > 1


@virtual
async def test_what_an_earlier_run_settled_of_the_overlap_does_not_come_again():
    async with feed(past(20), page_size=5, **unlimited()) as (api, client, _):
        new = [api.world.add_session() for _ in range(3)]
        settled = [one for one in api.world.versions() if one[0] in new][1:]
        store, origin = MemoryStore(), sessions_query(start_time=YEAR_AGO)
        window = origin.within(BIRTH - timedelta(days=1), BIRTH - timedelta(hours=1))
        place = Position(
            query=window.wire,
            origin=origin.wire,
            settled=tuple((one, datetime.fromisoformat(at)) for one, at in settled),
        )
        await store.save("n", place, after=0)
        await pass_time(1)
        stream = client.sessions.stream(start_time=YEAR_AGO, readers=3, name="n", store=store)
        async with stream:
            got = keys(await follow(stream))
        assert new[0] in {one for one, _ in got}
        assert set(got).isdisjoint(settled)
        assert len(got) == len(set(got))


@virtual
async def test_what_was_settled_at_a_windows_end_does_not_come_with_the_next():
    """The server takes the end of a window to be part of it."""
    profile = Profile(end_inclusive=True, versions="every")
    async with feed(past(40), page_size=5, profile=profile, **unlimited()) as (api, client, _):
        versions = api.world.versions()
        one, at = versions[20]
        seam = datetime.fromisoformat(at)
        store = MemoryStore()
        origin = sessions_query(start_time=YEAR_AGO, end_time=BIRTH)
        window = origin.within(YEAR_AGO, seam)
        place = Position(query=window.wire, origin=origin.wire, recent=((one, seam),))
        await store.save("n", place, after=0)
        got = keys(await everything(client, name="n", store=store))
        assert versions[20] not in got
        assert len(got) == len(set(got))


@virtual
async def test_what_was_settled_ahead_at_a_windows_end_comes_from_neither_window():
    """The same, for what an earlier run settled beyond the window that it was in."""
    profile = Profile(end_inclusive=True)
    start, narrow = BIRTH - timedelta(days=8), timedelta(milliseconds=1)
    seam = start + narrow + timedelta(minutes=1 + 4 + 16)  # where the third window meets the next
    async with feed(past(0), profile=profile, **unlimited()) as (api, client, _):
        record, begun = api.world.record, api.world.people.drivers[0]
        record._last_stamp = to_ms(seam) - 1
        session = api.world._begin(Random(1), begun, to_ms(seam), {})
        origin = sessions_query(start_time=start, end_time=BIRTH)
        place = Position(
            query=origin.within(start, start + narrow).wire,
            origin=origin.wire,
            settled=((session.id, seam),),
        )
        store = MemoryStore()
        await store.save("n", place, after=0)
        again = client.sessions.backfill(
            start_time=start, end_time=BIRTH, readers=1, name="n", store=store
        )
        async with again:
            assert keys([session async for session in again]) == []
        ends = {request.query["endTime"] for request in api.requests}
        assert stamp_text(to_ms(seam)) in ends


@virtual
async def test_a_stream_that_reads_the_past_is_resumed_wherever_it_was():
    async with feed(past(1000), page_size=10, **unlimited()) as (api, client, _):
        store, chance, got = MappingStore({}), Random(5), []
        for readers in [4, 1, 4, 2, 1, 1, 7, 4, 1, 4]:
            async with client.sessions.stream(
                start_time=YEAR_AGO, readers=readers, name="s", store=store
            ) as stream:
                for _ in range(chance.randrange(1, 150)):
                    try:
                        async with asyncio.timeout(30):
                            got.append(await anext(stream))
                    except TimeoutError:
                        break
        async with client.sessions.stream(
            start_time=YEAR_AGO, readers=1, name="s", store=store
        ) as stream:
            got += await follow(stream)
            api.world.annotate(str(api.world.sessions()[0]["id"]), "later")
            got += await follow(stream)
        assert set(keys(got)) >= api.world.latest()
        assert len(got) <= 1001 + 11


@virtual
async def test_what_was_settled_ahead_before_a_crash_does_not_come_again_when_following():
    async with feed(past(0), page_size=1, **unlimited()) as (api, client, _):
        for _ in range(2):
            api.world.add_session()
        first, second = [
            session
            async for session in client.sessions.stream(
                start_time=YEAR_AGO, end_time=BIRTH + timedelta(days=1)
            )
        ]
        origin = client.sessions.stream(start_time=YEAR_AGO).position.query
        window = Query.from_wire(origin).within(YEAR_AGO, BIRTH).wire
        store = MappingStore({})
        crashed = Position(query=window, origin=origin, settled=(second.key,))
        await store.save("s", crashed, after=0)
        await pass_time(60)
        stream = client.sessions.stream(start_time=YEAR_AGO, readers=2, name="s", store=store)
        assert await follow(stream) == [first]


@virtual
async def test_following_begins_a_quarter_of_an_hour_before_reading_the_past_began():
    """A session may become visible late."""
    async with feed(past(300), page_size=10, latency=0.3) as (api, client, _):
        await follow(client.sessions.stream(start_time=YEAR_AGO, readers=5))
        begun = datetime.fromisoformat(api.requests[-1].query["startTime"])
        assert "endTime" not in api.requests[-1].query
        assert timedelta(minutes=15) <= BIRTH - begun <= timedelta(minutes=15, seconds=2)


@virtual
async def test_one_reader_reads_no_windows():
    async with feed(past(), page_size=20, **unlimited()) as (api, client, _):
        await follow(client.sessions.stream(start_time=YEAR_AGO))
        assert len({request.query["startTime"] for request in api.requests}) == 1


@virtual
async def test_a_stream_that_begins_now_has_no_past():
    async with feed(past(), page_size=20) as (api, client, _):
        start = BIRTH + timedelta(days=1)
        stream = client.sessions.stream(start_time=start, readers=5)
        assert await follow(stream) == []
        assert len({request.query["startTime"] for request in api.requests}) == 1


@virtual
async def test_a_snapshot_is_read_in_one_go():
    async with feed(past(), page_size=20, **unlimited()) as (api, client, _):
        stream = client.sessions.stream(start_time=BIRTH, end_time=BIRTH, readers=5)
        got = [session async for session in stream]
        assert len(got) == len(api.world.sessions())


# Found by trying to break it


@virtual
async def test_a_clock_that_is_set_right_while_the_past_is_read_loses_nothing():
    clock = LeapingClock()
    async with feed(past(500), page_size=10, client={"clock": clock}) as (api, client, _):
        clock.leapt = api.now - LoopClock().now() + timedelta(hours=5)
        stream = client.sessions.stream(start_time=YEAR_AGO, readers=5)
        got = [await anext(stream)]
        await pass_time(60)
        one = str(api.world.sessions()[0]["id"])
        clock.leapt -= timedelta(hours=5)
        await pass_time(60)
        for note in ("one", "two"):
            api.world.annotate(one, note)
            got += await follow(stream)
        assert set(keys(got)) >= api.world.latest()


@virtual
@pytest.mark.parametrize("still", [True, False])
async def test_a_fast_clock_and_a_restart_lose_nothing(still):
    clock, got, store = LeapingClock(), [], MappingStore({})
    async with feed(past(500), page_size=10, client={"clock": clock}) as (api, client, _):
        right = api.now - LoopClock().now()
        clock.leapt = right + timedelta(hours=5)
        start = BIRTH - timedelta(days=20)

        def begin():
            return client.sessions.stream(start_time=start, readers=5, name="n", store=store)

        async with begin() as stream:
            got += await follow(stream)
        api.world.annotate(str(api.world.sessions()[0]["id"]), "x")
        await pass_time(3 * 3600)
        if not still:
            clock.leapt = right
        async with begin() as stream:
            got += await follow(stream)
        assert set(keys(got)) >= {one for one in api.world.latest() if one[1] >= f"{start:%FT%T}"}


@virtual
@pytest.mark.parametrize("readers", [1, 5])
async def test_a_session_that_changes_before_an_end_to_come_is_not_lost(readers):
    async with feed(past(0), latency=0.1) as (api, client, _):
        one = api.world.add_session()
        await pass_time(3600)
        api.faults.extend([refuse(503, retry_after=10)])

        async def change():
            await pass_time(5)
            api.world.annotate(one, "changed meanwhile")

        life = asyncio.create_task(change())
        stream = client.sessions.stream(
            start_time=BIRTH - timedelta(minutes=1),
            end_time=BIRTH + timedelta(hours=2),
            readers=readers,
        )
        got = [session.id async for session in stream]
        await life
        assert got == [one]


@virtual
async def test_a_stream_that_begins_now_asks_for_no_snapshot():
    clock = LeapingClock()
    async with feed(past(50), page_size=20, client={"clock": clock}) as (api, client, _):
        now = api.now.replace(microsecond=123_400)
        clock.leapt = now - LoopClock().now()
        for start in (now, now - timedelta(minutes=15)):
            await follow(client.sessions.stream(start_time=start, readers=5))
        assert all(one.query["startTime"] != one.query.get("endTime") for one in api.requests)


@virtual
@pytest.mark.parametrize("hours", [2, -5])
async def test_times_with_an_offset_are_times(hours):
    zone = timezone(timedelta(hours=hours))

    def spelled(found):
        moment = datetime.fromisoformat(found[1].decode()).astimezone(zone)
        return f'"updatedAtTime":"{moment.isoformat(timespec="milliseconds")}"'.encode()

    async with feed(past(2000), page_size=10, **unlimited()) as (api, client, _):
        ask = client._transport._exchange.send

        async def asking(*args, **kwargs):
            answer = await ask(*args, **kwargs)
            body = re.sub(rb'"updatedAtTime": ?"([^"]+)"', spelled, answer.body)
            return msgspec.structs.replace(answer, body=body)

        client._transport._exchange.send = asking  # type: ignore[method-assign]  # the rim
        assert keys(await everything(client)) == latest(api)


@virtual
@pytest.mark.parametrize("fast", [0, 10])
async def test_between_past_and_following_nothing_comes_twice(fast):
    clock = LeapingClock()
    async with feed(past(0), page_size=10, latency=0.2, client={"clock": clock}) as (
        api,
        client,
        _,
    ):
        clock.leapt = api.now - LoopClock().now()
        for _ in range(1000):
            api.world.add_session(driver_id=api.world.drivers[0])
            await pass_time(1)
        clock.leapt += timedelta(minutes=fast)
        start = BIRTH - timedelta(hours=6)
        got = await follow(client.sessions.stream(start_time=start, readers=5))
        assert keys(got) == latest(api)


@virtual
async def test_a_backfill_that_failed_stays_stopped_until_somebody_asks_again():
    faults = [refuse(403)]
    async with feed(past(2000), page_size=10, latency=0.3, faults=faults) as (_, client, _):
        stream = client.sessions.backfill(start_time=YEAR_AGO, end_time=BIRTH)
        with pytest.raises(ForbiddenError):
            await anext(stream)
        await pass_time(60)
        stopped = stream.health.state
        await anext(stream)
        assert [stopped, stream.health.state] == [StreamState.STOPPED, StreamState.FOLLOWING]
