"""The stream: every version once, in order, for ever; and it knows how far you have come."""

import asyncio
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from unittest.mock import AsyncMock

import pytest

from coachstream import (
    Client,
    ClosedError,
    CoachingSession,
    CursorExpiredError,
    CursorLoopError,
    ForbiddenError,
    InvalidArgumentError,
    MalformedSessionError,
    Page,
    RetryPolicy,
    SessionStream,
    StaleCheckpointError,
    StreamInUseError,
    StreamState,
    UnauthorizedError,
    consume,
)
from coachstream.checkpoints import MappingStore, MemoryStore
from coachstream.emulator import (
    Emulator,
    Profile,
    World,
    cut_short,
    empty_page,
    garble,
    hang_up,
    malformed_session,
    refuse,
    serve,
    slow,
    stall,
)
from coachstream.telemetry import (
    CaughtUp,
    PageRead,
    RetryScheduled,
    SessionMalformed,
    ShortPollInterval,
    StreamEnded,
)
from tests.support.emulated import LONG_AGO, TOKEN, feed, key, keys, most_in_a_second, unlimited
from tests.support.virtual_time import LoopClock, pass_time, virtual


def quiet_world(sessions=250):
    """A world in which nothing happens of itself."""
    return World(sessions=sessions, changes_per_hour=0)


async def take(stream, count):
    return [await anext(stream) for _ in range(count)]


async def until_quiet(stream, *, within=60.0):
    """Read until nothing comes for a while."""
    got = []
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(within):
                got.append(await anext(stream))
    return got


# What is read


@virtual
async def test_a_bounded_stream_reads_everything_in_order_and_ends():
    async with feed(quiet_world()) as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now + timedelta(days=1))
        got = [session async for session in stream]
        assert keys(got) == [one for one in api.world.versions() if one in api.world.latest()]
        assert stream.health.state == StreamState.STOPPED
        assert events[-1] == StreamEnded()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert len(api.requests) == 3


@virtual
async def test_a_snapshot_is_the_latest_version_of_each_session_in_one_pass():
    async with feed(quiet_world()) as (api, client, _):
        moment = api.now - timedelta(days=30)
        got = [session async for session in client.sessions.snapshot(at=moment)]
        assert got
        assert len({session.id for session in got}) == len(got)
        assert all(session.updated_at_time <= moment for session in got)
        equal = client.sessions.stream(start_time=moment, end_time=moment)
        assert [session async for session in equal] == got
        await pass_time(60)
        api.world.delete(got[0].id)
        await pass_time(60)
        now = {session.id: session.session_status async for session in client.sessions.snapshot()}
        assert now.keys() == {session["id"] for session in api.world.sessions()}
        assert now[got[0].id] == "deleted"


@virtual
async def test_a_snapshot_takes_the_filters_and_refuses_bad_arguments_by_name():
    async with feed(quiet_world()) as (api, client, _):
        driver = api.world.drivers[0]
        got = [one async for one in client.sessions.snapshot(driver_ids=[driver], keep_raw=True)]
        assert {one.driver.driver_id for one in got} == {driver}
        assert all(one.raw for one in got)
        odd: list[dict[str, Any]] = [{"at": "now"}, {"at": datetime(2026, 1, 1)}, {"coach_ids": []}]  # noqa: DTZ001
        for arguments in odd:
            with pytest.raises(InvalidArgumentError, match=f"^{next(iter(arguments))}: "):
                client.sessions.snapshot(**arguments)


@pytest.mark.parametrize("profile", Profile.every(), ids=str)
def test_every_profile_delivers_everything_and_keeps_idle_polls_apart(profile):
    @virtual
    async def run():
        async with feed(quiet_world(), profile=profile) as (api, client, _):
            stream = client.sessions.stream(start_time=LONG_AGO)
            got = await until_quiet(stream, within=120)
            for burst in range(3):
                new = [api.world.add_session() for _ in range(3 + 120 * (burst == 1))]
                api.world.complete(new[0])
                got += await until_quiet(stream)
                before = len(api.requests)
                got += await until_quiet(stream, within=100)
                idle = list(api.requests)[before:]
                idle = [request for request in idle if request.status == 200]
                assert 19 <= len(idle) <= 21
                gaps = [b.at - a.at for a, b in pairwise(idle)]
                # An empty page is no idle answer, nor is a refusal: more is asked at once.
                if not (profile.empty_pages or profile.spurious_refusals):
                    assert min(gaps) >= 5
            assert len(set(keys(got))) == len(got)
            assert api.world.latest() <= set(keys(got))
            if profile.versions == "every":
                assert keys(got) == api.world.versions()
            assert most_in_a_second([request.at for request in api.requests]) <= 5

    run()


@virtual
async def test_each_version_of_a_session_comes():
    async with feed() as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        one = api.world.add_session()
        upcoming = await anext(stream)
        api.world.annotate(one, "talked")
        noted = await anext(stream)
        api.world.complete(one)
        completed = await anext(stream)
        api.world.delete(one)
        deleted = await anext(stream)
        assert [s.session_status for s in (upcoming, noted, completed, deleted)] == [
            "upcoming",
            "upcoming",
            "completed",
            "deleted",
        ]
        assert noted.session_note == "talked"
        assert {s.id for s in (upcoming, noted, completed, deleted)} == {one}


@virtual
async def test_all_eight_parameters_reach_the_server():
    async with feed() as (api, client, _):
        first = client.sessions.stream(
            start_time=LONG_AGO,
            end_time=api.now + timedelta(days=1),
            driver_ids=["7", "3"],
            coach_ids=["1"],
            session_statuses=["completed", "deleted"],
            include_coachable_events=True,
            include_external_ids=True,
        )
        with pytest.raises(StopAsyncIteration):
            await anext(first)
        second = client.sessions.stream(
            start_time=LONG_AGO, after="not a+cursor/=,", on_expired="raise"
        )
        with pytest.raises(CursorExpiredError):
            await anext(second)
        assert api.requests[0].query == {
            "startTime": "2020-01-01T00:00:00Z",
            "endTime": "2026-03-03T08:00:00Z",
            "driverIds": "7,3",
            "coachIds": "1",
            "sessionStatuses": "completed,deleted",
            "includeCoachableEvents": "true",
            "includeExternalIds": "true",
        }
        assert api.requests[1].query["after"] == "not a+cursor/=,"


@virtual
async def test_the_query_is_sent_byte_for_byte_the_same_on_every_page():
    async with feed(quiet_world(), faults=[serve(), refuse(503)]) as (api, client, _):
        drivers = list(reversed(api.world.drivers))[:150]
        stream = client.sessions.stream(start_time=LONG_AGO, driver_ids=drivers)
        await until_quiet(stream)
        assert len(api.requests) > 4
        prefix = api.requests[0].raw_query
        assert all(request.raw_query.startswith(prefix) for request in api.requests)
        assert {request.status for request in api.requests} == {200, 503}


@virtual
async def test_filters_choose():
    async with feed(quiet_world()) as (api, client, _):
        drivers = api.world.drivers[:3]
        stream = client.sessions.stream(
            start_time=LONG_AGO, driver_ids=drivers, session_statuses=["completed"]
        )
        got = await until_quiet(stream)
        assert got
        assert {session.driver.driver_id for session in got} <= set(drivers)
        assert {session.session_status for session in got} == {"completed"}


@virtual
async def test_raw_bytes_are_kept_on_request():
    async with feed(quiet_world(3)) as (_, client, _):
        with_raw = await take(client.sessions.stream(start_time=LONG_AGO, keep_raw=True), 3)
        without = await take(client.sessions.stream(start_time=LONG_AGO), 3)
        assert all(one.raw and one.id.encode() in one.raw for one in with_raw)
        assert all(one.raw is None for one in without)


# When it is asked


@virtual
async def test_a_quiet_feed_is_asked_once_per_poll_interval():
    async with feed() as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO, poll_interval=timedelta(seconds=7))
        assert await until_quiet(stream, within=70) == []
        assert len(api.requests) == 10
        assert stream.health.state == StreamState.IDLE
        assert stream.health.state_age == pytest.approx(70, abs=1)
        assert [event for event in events if isinstance(event, CaughtUp)]


@virtual
async def test_a_change_is_handed_over_at_the_next_poll():
    async with feed(latency=0.25) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        waiting = asyncio.ensure_future(anext(stream))
        await pass_time(12)
        made = asyncio.get_running_loop().time()
        api.world.add_session()
        await waiting
        assert asyncio.get_running_loop().time() - made <= 5 + 0.25 + 0.02


@virtual
async def test_a_poll_interval_below_the_documented_one_is_told_once():
    async with feed() as (_, client, events):
        for _ in range(3):
            client.sessions.stream(start_time=LONG_AGO, poll_interval=1)
        assert events == [ShortPollInterval(poll_interval=1)]


@virtual
async def test_at_full_speed_the_limit_is_kept_and_reached():
    async with feed(quiet_world(5000), page_size=10) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        await take(stream, 5000)
        times = [request.at for request in api.requests]
        assert most_in_a_second(times) <= 5
        assert {request.status for request in api.requests} == {200}
        assert (len(times) - 1) / (times[-1] - times[0]) > 5 * 0.97


@virtual
async def test_two_streams_of_one_client_share_the_limit():
    async with feed(quiet_world(1000), page_size=10) as (api, client, _):
        streams = [client.sessions.stream(start_time=LONG_AGO) for _ in range(3)]
        await asyncio.gather(*(take(stream, 1000) for stream in streams))
        assert most_in_a_second([request.at for request in api.requests]) <= 5
        assert {request.status for request in api.requests} == {200}


@pytest.mark.parametrize("retry_after", [0.40235, 30.5])
def test_after_a_429_all_callers_wait_at_least_as_long_as_asked(retry_after):
    @virtual
    async def run():
        faults = [refuse(429, retry_after=retry_after)]
        async with feed(quiet_world(500), faults=faults, page_size=50, latency=0.1) as (
            api,
            client,
            _,
        ):
            streams = [client.sessions.stream(start_time=LONG_AGO) for _ in range(4)]
            await asyncio.gather(*(take(stream, 500) for stream in streams))
            refused, *others = api.requests
            assert refused.status == 429
            # The refusal arrived 0.1 s after it was asked for; nobody asked from then on.
            arrived = refused.at + 0.1
            after = [one.at for one in others if one.at > arrived]
            assert min(after) >= arrived + retry_after
            assert most_in_a_second(after) <= 5

    run()


# When things go wrong

FAULTS = {
    "429": refuse(429, retry_after=0.40235),
    "429 without a time": refuse(429),
    "500": refuse(500),
    "502 text": refuse(502, body="<html>Bad Gateway"),
    "503": refuse(503, retry_after=2),
    "504": refuse(504),
    "408": refuse(408),
    "hang up": hang_up(),
    "cut short": cut_short(100),
    "stall": stall(500),
    "slow": slow(80),
    "garble": garble(),
    "empty page": empty_page(),
    "no content": refuse(204, body=""),
    "not JSON": refuse(200, body="<html>Welcome to the hotel"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_no_transient_fault_loses_repeats_or_reorders_anything(fault, place):
    @virtual
    async def run():
        faults = [*[serve()] * place, fault, fault]
        async with feed(quiet_world(), faults=faults) as (api, client, _):
            stream = client.sessions.stream(start_time=LONG_AGO)
            got = await take(stream, len(api.world.latest()))
            api.world.add_session()
            got.append(await anext(stream))
            got += await until_quiet(stream, within=20)
            assert keys(got) == [one for one in api.world.versions() if one in api.world.latest()]
            assert not api.faults

    run()


@virtual
async def test_a_failure_is_told_before_the_wait_it_causes():
    async with feed(quiet_world(1), faults=[refuse(503, retry_after=60)]) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        waiting = asyncio.ensure_future(anext(stream))
        await pass_time(30)
        (retry,) = [event for event in events if isinstance(event, RetryScheduled)]
        assert retry.delay == 60
        health = stream.health
        assert (health.state, health.failures) == (StreamState.RETRYING, 1)
        assert health.last_error is not None
        assert "503" in health.last_error
        await waiting
        assert stream.health.state == StreamState.FOLLOWING


@virtual
async def test_throttled_is_a_state_of_its_own():
    async with feed(quiet_world(1), faults=[refuse(429, retry_after=60)]) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        other = client.sessions.stream(start_time=LONG_AGO)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(anext(stream))
            await pass_time(1)
            tasks.create_task(anext(other))
            await pass_time(1)
            assert stream.health.state == StreamState.THROTTLED
            assert other.health.state == StreamState.THROTTLED


@virtual
async def test_a_stream_goes_on_trying():
    async with feed(quiet_world(1), faults=[refuse(503)] * 2000) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        waiting = asyncio.ensure_future(anext(stream))
        await pass_time(timedelta(hours=3).total_seconds())
        assert not waiting.done()
        assert len(api.requests) > 500
        api.faults.clear()
        assert await waiting


@virtual
async def test_a_stream_gives_up_when_told_to():
    policy = RetryPolicy(give_up_after=timedelta(minutes=10))
    faults = [serve(), *[hang_up()] * 1000]
    world = quiet_world(1)
    async with feed(world, faults=faults, client={"retry": policy}) as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        await anext(stream)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(Exception, match="disconnected") as caught:
            await anext(stream)
        assert 500 < asyncio.get_running_loop().time() - begun <= 605  # a poll, and ten minutes
        assert events[-1] == StreamEnded(error=caught.value)
        assert stream.health.state == StreamState.STOPPED
        api.faults.clear()
        api.world.add_session()
        assert await anext(stream), "asked again, it tries again"


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 501])
def test_what_asking_again_cannot_mend_is_raised_at_once(status):
    @virtual
    async def run():
        async with feed(quiet_world(1), faults=[refuse(status)]) as (api, client, _):
            stream = client.sessions.stream(start_time=LONG_AGO)
            with pytest.raises(Exception, match=f"^GET /coaching/sessions/stream: {status}: "):
                await anext(stream)
            assert len(api.requests) == 1

    run()


@virtual
async def test_a_server_that_leads_in_circles_is_found_out():
    body = '{"data":[],"pagination":{"endCursor":"a","hasNextPage":true}}'
    async with feed(faults=[refuse(200, body=body)] * 9) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=LONG_AGO)
        with pytest.raises(CursorLoopError):
            await anext(stream)


# Sessions that can't be read


@virtual
async def test_a_malformed_session_is_raised_in_its_place_until_someone_settles_it():
    async with feed(quiet_world(5), faults=[serve(), malformed_session()], page_size=3) as (
        _,
        client,
        events,
    ):
        stream = client.sessions.stream(start_time=LONG_AGO)
        before = await take(stream, 3)
        for _ in range(3):
            with pytest.raises(MalformedSessionError) as caught:
                await anext(stream)
            assert caught.value.raw.startswith(b"{")
            assert stream.position.settled == ()
            assert stream.position.watermark == before[-1].updated_at_time
        assert [event for event in events if isinstance(event, SessionMalformed)]


@virtual
async def test_whoever_asks_for_a_malformed_session_has_settled_the_one_before_it():
    world = quiet_world(0)
    one = world.add_session()
    world.add_session(extra={"driver": None})
    world.add_session("7")
    async with feed(world) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        assert (await anext(stream)).id == one
        assert stream.position.settled == ()
        with pytest.raises(MalformedSessionError):
            await anext(stream)
        assert [name for name, _ in stream.position.settled] == [one]


@virtual
async def test_a_malformed_session_costs_no_other_when_it_is_settled():
    met = []

    async def settle(error):
        met.append(error)

    faults = [malformed_session(id=7), serve(), malformed_session(driver=...)]
    async with feed(quiet_world(9), faults=faults, page_size=3) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
        got = await until_quiet(stream)
        assert len(got) == 7
        assert len(met) == 2
        assert met[0].session_id is None
        assert stream.position.watermark == got[-1].updated_at_time
        lost = set(api.world.latest()) - set(keys(got))
        assert met[1].session_id in {one for one, _ in lost}


@virtual
async def test_a_settler_that_fails_leaves_the_session_unsettled():
    met = []

    async def settle(error):
        met.append(error)
        if len(met) < 3:
            raise OSError("disk full")

    async with feed(quiet_world(2), faults=[malformed_session()]) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
        for _ in range(2):
            with pytest.raises(OSError, match="disk full"):
                await anext(stream)
        assert await anext(stream)
        assert len(met) == 3


# How far you have come


@virtual
async def test_a_session_is_settled_when_the_next_is_asked_for():
    async with feed(quiet_world(5), page_size=3) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        assert stream.position.cursor is None
        first, second = await take(stream, 2)
        position = stream.position
        assert position.query == "startTime=2020-01-01T00%3A00%3A00Z"
        assert (position.cursor, position.cursor_time) == (None, None)
        assert position.settled == (first.key,)
        assert position.watermark == first.updated_at_time
        third, fourth = await take(stream, 2)
        position = stream.position
        assert position.settled == ()
        assert position.cursor is not None
        assert position.watermark == third.updated_at_time
        assert stream.health.cursor_age is not None
        del second, fourth
        assert api.requests[1].query["after"] == position.cursor


@virtual
async def test_leaving_the_loop_leaves_the_last_session_unsettled():
    async with feed(quiet_world(5)) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        async for session in stream:
            if len(stream.position.settled) == 2:
                assert session.key not in stream.position.settled
                break
        assert session.key not in stream.position.settled
        with suppress(ZeroDivisionError):
            async for again in stream:
                assert again.key != session.key
                raise ZeroDivisionError
        # The loop that was entered again asked for the next: that settled the one before.
        assert session.key in stream.position.settled
        assert again.key not in stream.position.settled


@pytest.mark.parametrize("taken", range(9))
@pytest.mark.parametrize("cursor", ["same", "new", "empty"])
def test_read_on_after_the_cursor_and_nothing_unfinished_is_skipped(taken, cursor):
    @virtual
    async def run():
        profile = Profile(caught_up_cursor=cursor)
        async with feed(quiet_world(8), page_size=3, profile=profile) as (api, client, _):
            stream = client.sessions.stream(start_time=LONG_AGO)
            got = await take(stream, taken)
            position = stream.position
            stream = client.sessions.stream(start_time=LONG_AGO, after=position.cursor)
            rest = await until_quiet(stream)
            finished = keys(got[:-1])
            settled = {key(one) for one in got if one.key in position.settled}
            beyond = [one for one in keys(rest) if one not in settled]
            assert finished + beyond == sorted(api.world.latest(), key=lambda one: one[1])

    run()


@virtual
async def test_a_page_is_settled_when_the_next_is_asked_for():
    async with feed(quiet_world(5), page_size=3) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        pages = stream.pages()
        first = await anext(pages)
        assert isinstance(first, Page)
        assert len(first.sessions) == 3
        assert (stream.position.cursor, stream.position.settled) == (None, ())
        second = await anext(pages)
        assert len(second.sessions) == 2
        assert stream.position.cursor == first.end_cursor
        third = await anext(pages)
        assert third.sessions == ()
        assert stream.position.watermark == second.sessions[-1].updated_at_time


@virtual
async def test_pages_take_up_what_a_loop_left():
    async with feed(quiet_world(5), page_size=3) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        first = await anext(stream)
        rest = await anext(stream.pages())
        assert len(rest.sessions) == 2
        assert stream.position.settled == (first.key,)
        assert (await anext(stream)).key not in {first.key, *(one.key for one in rest.sessions)}


@virtual
async def test_pages_hand_their_malformed_sessions_over_first():
    met = []

    async def settle(error):
        met.append(error)

    async with feed(quiet_world(3), faults=[malformed_session()] * 2) as (_, client, _):
        page = await anext(client.sessions.stream(start_time=LONG_AGO, on_malformed=settle).pages())
        assert len(page.sessions) == 2
        assert page.malformed == tuple(met)
        with pytest.raises(MalformedSessionError):
            await anext(client.sessions.stream(start_time=LONG_AGO).pages())


# Stopping and cancelling


@virtual
async def test_a_time_out_around_a_step_loses_and_repeats_nothing():
    world = quiet_world(20)
    async with feed(world, page_size=3, latency=1.0, faults=[slow(9)]) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        got: list[CoachingSession] = []
        while len(got) < 20:
            with suppress(TimeoutError):
                got.append(await asyncio.wait_for(anext(stream), timeout=0.3))
        assert keys(got) == sorted(api.world.latest(), key=lambda one: one[1])
        assert len(api.requests) == 7, "a page under way goes on being fetched"


@virtual
async def test_a_poll_is_not_put_off_by_time_outs():
    async with feed() as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        for _ in range(100):
            with suppress(TimeoutError):
                await asyncio.wait_for(anext(stream), timeout=1)
        assert 20 <= len(api.requests) <= 21


@virtual
async def test_closing_ends_the_loop_of_whoever_waits():
    async with feed() as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        waiting = asyncio.ensure_future(anext(stream))
        await pass_time(7)
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream.pages())
        assert events.count(StreamEnded()) == 1
        assert stream.health.state == StreamState.STOPPED
        seen = len(api.requests)
        await pass_time(60)
        assert len(api.requests) == seen


@pytest.mark.parametrize("loop", [aiter, SessionStream.pages], ids=["sessions", "pages"])
def test_closing_ends_the_loop_whose_callback_hangs(loop):
    @virtual
    async def check():
        met, cancelled = [], []

        async def settle(error):
            met.append(error)
            try:
                await pass_time(1e6)
            except asyncio.CancelledError:
                await pass_time(2)
                cancelled.append(error)

        async def read():
            async for _ in loop(stream):
                raise AssertionError("the malformed session comes first")

        async with feed(quiet_world(3), faults=[malformed_session()]) as (_, client, _):
            stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
            reading = asyncio.create_task(read())
            await pass_time(100)
            assert stream.health.state is StreamState.STALLED
            await stream.aclose()
            await pass_time(3)
            assert reading.done()
            assert reading.result() is None
            assert len(met) == len(cancelled) == 1
            assert stream.position.watermark is None

    check()


@pytest.mark.parametrize("loop", [aiter, SessionStream.pages], ids=["sessions", "pages"])
def test_closing_from_within_a_callback_ends_the_loop(loop):
    @virtual
    async def check():
        async def settle(_):
            await stream.aclose()

        async with feed(quiet_world(3), faults=[malformed_session()]) as (_, client, _):
            stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
            assert [one async for one in loop(stream)] == []
            assert stream.position.watermark is None

    check()


@virtual
async def test_closing_in_the_middle_of_a_page_leaves_the_session_in_hand_unsettled():
    async with feed(quiet_world(5)) as (_, client, _):
        async with aclosing(client.sessions.stream(start_time=LONG_AGO)) as stream:
            first, second = await take(stream, 2)
        assert stream.position.settled == (first.key,)
        assert [session async for session in stream] == []
        assert stream.position.settled == (first.key,)
        del second


@virtual
async def test_closing_the_client_is_not_mistaken_for_the_end():
    async with feed() as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        waiting = asyncio.ensure_future(anext(stream))
        await pass_time(7)
        await client.aclose()
        await client.aclose()
        with pytest.raises(ClosedError):
            await waiting
        with pytest.raises(ClosedError):
            await anext(stream)
        assert stream.health.state is StreamState.STOPPED
    assert not {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


CLOSED = {
    "before it begins": 0,
    "in the middle of a page": 3,
    "at the end of a page": 5,
    "while it waits": 6,
}


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("steps", CLOSED.values(), ids=CLOSED)
def test_when_its_client_is_closed_each_step_of_a_stream_says_so(steps, saved):
    @virtual
    async def run():
        more: dict[str, Any] = {"name": "it", "store": MemoryStore()} if saved else {}
        async with feed(quiet_world(5)) as (_, client, _):
            stream = client.sessions.stream(start_time=LONG_AGO, **more)
            await take(stream, min(steps, 5))
            waiting = asyncio.ensure_future(anext(stream)) if steps > 5 else None
            await pass_time(7)
        for step in (waiting, anext(stream), anext(aiter(stream)), anext(stream.pages())):
            if step is not None:
                with pytest.raises(ClosedError, match="client"):
                    await step
        assert stream.health.state == StreamState.STOPPED
        await stream.aclose()

    run()


@virtual
async def test_a_consumer_whose_client_is_closed_says_so_and_saves():
    store = MemoryStore()
    async with feed(quiet_world(5)) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        consuming = asyncio.ensure_future(
            consume(stream, AsyncMock(), name="it", store=store, clock=LoopClock())
        )
        await pass_time(7)
    with pytest.raises(ClosedError, match="client"):
        await consuming
    assert await store.load("it") is not None


@virtual
async def test_a_stream_that_was_closed_before_its_client_has_ended():
    async with feed(quiet_world(5)) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        await take(stream, 3)
        await stream.aclose()
    assert [one async for one in stream] == []


@virtual
async def test_a_stream_nobody_holds_asks_no_more():
    async with feed(faults=[hang_up()] * 1000) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        with suppress(TimeoutError):
            await asyncio.wait_for(anext(stream), timeout=20)
        del stream
        await pass_time(1)
        seen = len(api.requests)
        await pass_time(600)
        assert len(api.requests) == seen


@virtual
async def test_one_stream_is_for_one_task_at_a_time():
    async with feed() as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        waiting = asyncio.ensure_future(anext(stream))
        await pass_time(1)
        with pytest.raises(StreamInUseError):
            await anext(stream)
        waiting.cancel()


# Bad input, refused at the call


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("start_time", datetime(2026, 1, 1)),  # noqa: DTZ001  # that is the point
        ("end_time", LONG_AGO - timedelta(seconds=1)),
        ("driver_ids", []),
        ("coach_ids", ["1,2"]),
        ("session_statuses", ["incomplete"]),
        ("after", 7),
        ("poll_interval", 0),
        ("poll_interval", "5"),
        ("keep_raw", "yes"),
        ("on_malformed", dict),
    ],
)
async def test_bad_input_is_refused_at_the_call(argument, value):
    async with Client(TOKEN) as client:
        arguments = {"start_time": LONG_AGO, argument: value}
        with pytest.raises(InvalidArgumentError, match=f"^{argument}: "):
            client.sessions.stream(**arguments)


@virtual
async def test_a_wrong_token_is_told_at_once():
    async with (
        Emulator(quiet_world(1), token="another") as api,
        Client(TOKEN, base_url=api.url, clock=LoopClock()) as client,
    ):
        with pytest.raises(UnauthorizedError, match="Invalid token"):
            await anext(client.sessions.stream(start_time=LONG_AGO))


@virtual
async def test_a_missing_scope_is_told_at_once():
    async with feed(faults=[refuse(403)]) as (_, client, _):
        with pytest.raises(ForbiddenError):
            await anext(client.sessions.stream(start_time=LONG_AGO))


@virtual
async def test_reading_is_told_page_by_page():
    async with feed(quiet_world(5), page_size=3, **unlimited()) as (_, client, events):
        await take(client.sessions.stream(start_time=LONG_AGO), 4)
        pages = [event for event in events if isinstance(event, PageRead)]
        assert [(one.sessions, one.repeated, one.malformed) for one in pages] == [
            (3, 0, 0),
            (2, 0, 0),
        ]


# Found by trying to break it


@pytest.mark.parametrize("step", [0.3, 0.9, 2.5])
def test_a_time_out_at_the_end_of_a_bounded_stream_loses_nothing(step):
    @virtual
    async def run():
        async with feed(quiet_world(50), page_size=20, latency=2.0) as (api, client, _):
            end = api.now + timedelta(days=1)
            stream = client.sessions.stream(start_time=LONG_AGO, end_time=end)
            got: list[CoachingSession] = []
            while stream.health.state != StreamState.STOPPED:
                with suppress(TimeoutError, StopAsyncIteration):
                    got.append(await asyncio.wait_for(anext(stream), timeout=step))
            assert keys(got) == sorted(api.world.latest(), key=lambda one: one[1])

    run()


@virtual
async def test_a_session_whose_time_is_none_is_malformed_and_no_more():
    async def settle(error):
        assert error.updated_at_time is None

    faults = [malformed_session(updatedAtTime="2026-13-01T00:00:00")]
    async with feed(quiet_world(3), faults=faults) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
        assert len(await until_quiet(stream)) == 2
        assert stream.health.lag is not None
        assert stream.position.watermark is not None


@virtual
async def test_half_a_character_costs_neither_the_page_nor_the_session():
    body = (
        b'\xef\xbb\xbf{"data":[{"id":"a","updatedAtTime":"2026-01-01T00:00:00Z","driver":'
        b'{"driverId":"1"},"sessionStatus":"upcoming","coachingType":"unknown",'
        b'"sessionNote":"cut \\ud83d \\\\ud83d \\ud83d\\ude00"}],'
        b'"pagination":{"endCursor":"c","hasNextPage":false}}'
    )
    async with feed(faults=[refuse(200, body=body)]) as (_, client, _):
        session = await anext(client.sessions.stream(start_time=LONG_AGO))
        assert session.session_note == "cut \ufffd \\ud83d \U0001f600"


@virtual
async def test_closing_from_within_or_just_after_a_page_ends_the_loop():
    async def settle(error):
        await stream.aclose()

    async with feed(quiet_world(3), faults=[malformed_session()]) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
        assert [one async for one in stream] == []

    async with feed() as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        waiting = asyncio.ensure_future(anext(stream))
        while not api.requests:
            await pass_time(0.001)
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting
        assert len(api.requests) == 1


@virtual
async def test_a_callback_that_raises_stop_async_iteration_does_not_end_the_loop_in_silence():
    async def settle(error):
        raise StopAsyncIteration

    async with feed(quiet_world(3), faults=[malformed_session()]) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
        with pytest.raises(RuntimeError, match="on_malformed raised StopAsyncIteration"):
            [one async for one in stream]


@virtual
async def test_a_malformed_session_met_again_and_again_starves_nobody():
    async with feed(quiet_world(1), faults=[malformed_session()]) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        turns = 0

        async def other():
            nonlocal turns
            while True:
                await pass_time(0)
                turns += 1

        neighbour = asyncio.ensure_future(other())
        for _ in range(100):
            with pytest.raises(MalformedSessionError):
                await anext(stream)
        neighbour.cancel()
        assert turns >= 100


@virtual
async def test_an_observer_that_raises_a_cancellation_loses_no_page(caplog):
    def observe(event):
        if isinstance(event, PageRead):
            raise asyncio.CancelledError

    client_arguments = {"observer": observe}
    async with feed(quiet_world(30), page_size=10, client=client_arguments) as (_, client, _):
        got = await until_quiet(client.sessions.stream(start_time=LONG_AGO))
        assert len(got) == 30
        assert "observer failed on PageRead" in caplog.text


@virtual
async def test_giving_up_counts_the_time_of_failing_and_not_the_users():
    policy = RetryPolicy(give_up_after=60)
    async with feed(quiet_world(2), page_size=1, client={"retry": policy}) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        await anext(stream)
        await pass_time(1000)
        api.faults.append(refuse(503))
        assert await anext(stream)


@virtual
async def test_sixty_throttled_streams_are_not_taken_for_stalled():
    faults = [refuse(429, retry_after=30)]
    async with feed(quiet_world(1), faults=faults) as (_, client, _):
        streams = [client.sessions.stream(start_time=LONG_AGO) for _ in range(60)]
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
        states = set()
        while not all(task.done() for task in waiting):
            await pass_time(1)
            states |= {stream.health.state for stream in streams}
        assert StreamState.THROTTLED in states
        assert StreamState.STALLED not in states


# With a store


@virtual
async def test_a_loop_with_a_store_goes_on_where_it_was_left():
    store: dict[str, bytes] = {}
    async with feed(quiet_world(50), page_size=20) as (api, client, _):
        got = []
        while len(got) < 50:
            stream = client.sessions.stream(start_time=LONG_AGO, name="loop", store=store)
            async with stream:
                async for session in stream:
                    got.append(session)
                    if len(got) % 7 == 0 or len(got) == 50:
                        await stream.ack()
                        break
        assert keys(got) == sorted(api.world.latest(), key=lambda one: one[1])[: len(got)]


@virtual
async def test_without_ack_the_session_in_hand_comes_again():
    store: dict[str, bytes] = {}
    async with feed(quiet_world(5)) as (_, client, _):
        async with client.sessions.stream(start_time=LONG_AGO, name="x", store=store) as stream:
            first, second = await take(stream, 2)
        async with client.sessions.stream(start_time=LONG_AGO, name="x", store=store) as stream:
            assert (await anext(stream)).key == second.key
        assert first.key != second.key


@virtual
async def test_closing_the_client_saves_what_its_streams_have_settled():
    store: dict[str, bytes] = {}
    world = quiet_world(10)
    async with feed(world) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, name="x", store=store)
        taken = await take(stream, 4)
    async with feed(world) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, name="x", store=store)
        assert (await anext(stream)).key == taken[3].key


@virtual
async def test_one_stream_that_cannot_be_saved_keeps_no_other_from_it():
    stores: list[dict[str, bytes]] = [{}, {}, {}]

    async def service():
        async with feed(quiet_world(10)) as (_, client, _), feed(quiet_world(10)) as (_, other, _):
            streams = [
                client.sessions.stream(start_time=LONG_AGO, name="x", store=store)
                for store in stores
            ]
            for stream in streams:
                await take(stream, 4)
            second = other.sessions.stream(start_time=LONG_AGO, name="x", store=stores[0])
            async with second:
                await take(second, 2)
            await client.aclose()

    with pytest.raises(StaleCheckpointError):
        await service()
    for store in stores[1:]:
        kept = await MappingStore(store).load("x")
        assert kept is not None
        assert len(kept.position.settled) == 3


@virtual
async def test_an_idle_stream_has_saved_what_it_settled():
    store: dict[str, bytes] = {}
    async with feed(quiet_world(5)) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, name="x", store=store)
        got = await until_quiet(stream, within=11)
        kept = await MappingStore(store).load("x")
        assert kept is not None
        assert kept.position.cursor == stream.position.cursor is not None
        assert kept.position.watermark == got[-1].updated_at_time


@pytest.mark.parametrize(
    ("argument", "more"),
    [
        ("name", {"store": {}}),
        ("store", {"name": "x"}),
        ("store", {"name": "x", "store": 7}),
        ("name", {"name": "", "store": {}}),
        ("after", {"name": "x", "store": {}, "after": "c"}),
        ("on_expired", {"on_expired": "panic"}),
    ],
)
async def test_a_store_and_a_name_go_together(argument, more):
    async with Client(TOKEN) as client:
        with pytest.raises(InvalidArgumentError, match=f"^{argument}: "):
            client.sessions.stream(start_time=LONG_AGO, **more)
