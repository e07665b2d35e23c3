"""Fetching ahead: the next page comes while this one is handled, and nothing else changes."""

import asyncio
from datetime import timedelta

import pytest

from coachstream import ForbiddenError, StreamState
from coachstream.emulator import (
    Profile,
    World,
    empty_page,
    garble,
    malformed_session,
    refuse,
    serve,
)
from coachstream.telemetry import PageRead, RequestFinished, RequestStarted, RetryScheduled
from coachstream.wire import pages
from tests.support.emulated import LONG_AGO, feed, key, keys, unlimited
from tests.support.virtual_time import LoopClock, pass_time, virtual


def world(sessions=40):
    return World(sessions=sessions, changes_per_hour=0)


def latest(api):
    left = api.world.latest()
    return [one for one in api.world.versions() if one in left]


def answered(events):
    return sum(isinstance(event, RequestFinished) for event in events)


@virtual
async def test_handling_and_fetching_take_the_time_of_the_longer_one():
    async with feed(world(), page_size=10, latency=2.0, **unlimited()) as (api, client, _):
        end = api.now + timedelta(days=1)
        began = LoopClock().monotonic()
        async for _ in client.sessions.stream(start_time=LONG_AGO, end_time=end):
            await pass_time(0.3)  # three seconds for a page
        taken = LoopClock().monotonic() - began
        # One after the other it would be 4 x (2 + 3) = 20.
        assert 2 + 4 * 3 <= taken < 2 + 4 * 3 + 0.5


@virtual
async def test_one_page_is_fetched_ahead_and_no_more():
    async with feed(world(), page_size=10, **unlimited()) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        for taken in range(1, 31):
            await anext(stream)
            await pass_time(60)
            assert len(api.requests) == (taken - 1) // 10 + 2


@virtual
async def test_nothing_is_asked_for_past_the_end_of_what_there_is():
    async with feed(world(), page_size=10) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        for _ in range(40):
            await anext(stream)
        await pass_time(3600)
        assert len(api.requests) == 4


@virtual
async def test_an_empty_page_leads_to_no_haste():
    faults = [serve(), *[empty_page()] * 3]
    async with feed(world(), page_size=10, faults=faults) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        await anext(stream)
        await pass_time(3600)
        assert len(api.requests) == 2


@virtual
async def test_a_feed_of_empty_pages_that_says_more_and_more_is_not_hurried():
    profile = Profile(caught_up_has_next=True, caught_up_cursor="new")
    async with feed(world(), page_size=10, profile=profile, **unlimited()) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        for _ in range(40):
            await anext(stream)
        waiting = asyncio.create_task(anext(stream))
        await pass_time(600)
        assert len(api.requests) <= 4 + 10 + 600 / 5
        waiting.cancel()


@virtual
async def test_the_position_speaks_of_what_was_handled():
    async with feed(world(), page_size=10, **unlimited()) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        first = [await anext(stream) for _ in range(11)]
        await pass_time(60)
        position = stream.position
        assert [one for one, _ in position.settled] == []
        assert position.cursor is not None
        again = client.sessions.stream(start_time=LONG_AGO, after=position.cursor)
        assert key(await anext(again)) == key(first[-1])


@virtual
async def test_closing_ends_what_is_under_way():
    async with feed(world(), page_size=10, latency=30.0, **unlimited()) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        await anext(stream)
        assert answered(events) == 1
        await stream.aclose()
        assert stream.health.state is StreamState.STOPPED
        await pass_time(3600)
        assert answered(events) == 1


@virtual
async def test_a_stream_that_nobody_holds_fetches_nothing():
    async with feed(world(), page_size=10, latency=30.0, **unlimited()) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        await anext(stream)
        del stream
        await pass_time(3600)
        assert answered(events) == 1


@virtual
async def test_a_refusal_met_ahead_is_raised_when_its_page_is_wanted():
    faults = [serve(), refuse(403)]
    async with feed(world(), page_size=10, faults=faults) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        got = [await anext(stream) for _ in range(10)]
        await pass_time(60)
        with pytest.raises(ForbiddenError):
            await anext(stream)
        got += [await anext(stream) for _ in range(30)]
        assert keys(got) == latest(api)


@virtual
async def test_trouble_met_ahead_is_over_before_anyone_waits():
    faults = [serve(), refuse(503), garble()]
    async with feed(world(), page_size=10, faults=faults) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        for _ in range(10):
            await anext(stream)
        await pass_time(600)
        assert sum(isinstance(event, RetryScheduled) for event in events) == 2
        assert stream.health.state is StreamState.FOLLOWING
        assert stream.health.failures == 0
        asked = len(events)
        await anext(stream)
        assert isinstance(events[asked], PageRead)


@virtual
async def test_the_cursor_is_as_old_as_its_page_however_late_that_is_read():
    async with feed(world(), page_size=10, **unlimited()) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        for _ in range(10):
            await anext(stream)
        await pass_time(7200)
        for _ in range(11):
            await anext(stream)
        age = stream.health.cursor_age
        assert age is not None
        assert 7200 <= age < 7201


@virtual
async def test_a_time_out_while_the_next_page_is_on_its_way_loses_and_repeats_nothing():
    async with feed(world(), page_size=10, latency=10.0, **unlimited()) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        got, late = [], 0
        while len(got) < 40:
            try:
                async with asyncio.timeout(0.7):
                    got.append(await anext(stream))
            except TimeoutError:
                late += 1
        assert late > 40
        assert keys(got) == latest(api)
        assert len(api.requests) == 4


@virtual
async def test_the_next_question_leaves_before_this_answer_is_decoded(monkeypatch):
    order = []
    decode = pages.sessions_page

    def decoding(body, **more):
        order.append("decode")
        return decode(body, **more)

    monkeypatch.setattr(pages, "sessions_page", decoding)

    def observe(event):
        if isinstance(event, RequestStarted):
            order.append("ask")

    client_arguments = unlimited()["client"] | {"observer": observe}
    async with feed(world(), page_size=10, **(unlimited() | {"client": client_arguments})) as (
        _,
        client,
        _,
    ):
        stream = client.sessions.stream(start_time=LONG_AGO)
        for _ in range(40):
            await anext(stream)
    assert order == ["ask", "ask", "decode", "ask", "decode", "ask", "decode", "decode"]


@virtual
async def test_a_malformed_session_costs_no_page_that_came_ahead():
    faults = [serve(), malformed_session()]
    settled = []

    async def note(error):
        settled.append(error.session_id)

    async with feed(world(), page_size=10, faults=faults) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=note)
        got = [await anext(stream) for _ in range(39)]
        assert len(settled) == 1
        assert len(api.requests) == 4
        assert set(keys(got)) < set(latest(api))


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        ('{"data":[{"updatedAtTime":1}],"pagination":{"endCursor":"a","hasNextPage":true}}', "a"),
        ('{"pagination":{"hasNextPage":true,"endCursor":"a"},"data":[{"updatedAtTime":1}]}', "a"),
        ('{"data":[{"updatedAtTime":1}],"pagination":{"endCursor":"a","hasNextPage":false}}', None),
        ('{"data":[{"updatedAtTime":1}],"pagination":{"endCursor":"","hasNextPage":true}}', None),
        ('{"data":[{"updatedAtTime":1}],"pagination":{"endCursor":null,"hasNextPage":true}}', None),
        ('{"data":[],"pagination":{"endCursor":"a","hasNextPage":true}}', None),
        ('{"data":[{"updatedAtTime":1,"pagination":{"endCursor":"a","hasNextPage":true}}]}', None),
        ('{"data":[{"updatedAtTime":1}]}', None),
        ('{"data":[{"updatedAtTime":1}],"pagination":{"endCursor":"a","hasNext', None),
        ("", None),
    ],
)
def test_the_outlook_of_a_page(body, cursor):
    assert pages.guess_next_cursor(body.encode()) == cursor
