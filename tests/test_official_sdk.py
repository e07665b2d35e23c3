"""This library reads the same records as the vendor's own SDK."""

import asyncio
import copy
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from samsara import AsyncSamsara, Samsara
from samsara.core.pydantic_utilities import parse_obj_as
from samsara.types import (
    CoachAssignmentWithDriverExternalIdsResponseResponseBody,
    CoachingSessionsResponseResponseBody,
)

from coachstream import Client, RateLimits
from coachstream.emulator import Emulator, Profile, World
from coachstream.models import CoachAssignment, CoachingSession
from coachstream.wire import assignments, pages
from tests.support import payloads
from tests.support.emulated import LONG_AGO, TOKEN

NO_LIMITS: dict[str, Any] = {"sessions_per_second": None, "assignments_per_second": None}


def ours(read):
    """Return our record as plain values under the API's names, without absent ones."""
    return _without_none(msgspec.to_builtins(read))


def theirs(read):
    """Return the SDK's record in the same form."""
    kind = CoachingSession if hasattr(read, "session_status") else CoachAssignment
    # Convert to our struct and back, so that both have the same format of times.
    raw = _without_none(read.model_dump(by_alias=True, mode="json"))
    assert set(raw) <= set(kind.__struct_encode_fields__)
    return ours(msgspec.convert(raw, kind))


def _without_none(value):
    if isinstance(value, dict):
        return {name: _without_none(one) for name, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_without_none(one) for one in value]
    return value


async def every_page(call_method):
    """Read all pages with the SDK, as its users have to."""
    records, after = [], None
    while True:
        page = await call_method(after=after)
        records += page.data
        after = page.pagination.end_cursor
        if not page.pagination.has_next_page:
            return records


def sdk_method(samsara, method, **arguments):
    """Return a coroutine function that calls either kind of client."""

    async def call_method(**more):
        call = partial(getattr(samsara.coaching, method), **arguments, **more)
        return await (call() if isinstance(samsara, AsyncSamsara) else asyncio.to_thread(call))

    return call_method


@pytest_asyncio.fixture(params=["async", "sync"])
async def official(request):
    """Yield a factory of the SDK's client, which does not close an HTTP client of its own."""
    async with httpx.AsyncClient() as http:
        with httpx.Client() as sync_http:
            if request.param == "async":
                yield partial(AsyncSamsara, token=TOKEN, httpx_client=http)
            else:
                yield partial(Samsara, token=TOKEN, httpx_client=sync_http)


async def test_sessions_are_read_the_same(official):
    world = World(seed=3, sessions=400, changes_per_hour=0)
    async with Emulator(world, token=TOKEN, page_size=(20, 70), **NO_LIMITS) as api:
        theirs_read = await every_page(
            sdk_method(
                official(base_url=api.url),
                "get_coaching_sessions",
                start_time=LONG_AGO,
                include_coachable_events=True,
                include_external_ids=True,
            )
        )
        async with Client(TOKEN, base_url=api.url, rate_limits=RateLimits(sessions=None)) as client:
            stream = client.sessions.stream(
                start_time=LONG_AGO, include_coachable_events=True, include_external_ids=True
            )
            ours_read = [await anext(stream) for _ in theirs_read]
        assert len(ours_read) == 400
        assert [ours(one) for one in ours_read] == [theirs(one) for one in theirs_read]


async def test_assignments_are_read_and_changed_the_same(official):
    async with Emulator(World(changes_per_hour=0), token=TOKEN, **NO_LIMITS) as api:
        samsara = official(base_url=api.url)
        limits = RateLimits(assignments=None)
        async with Client(TOKEN, base_url=api.url, rate_limits=limits) as client:

            async def read_both():
                listed = await every_page(
                    sdk_method(samsara, "get_driver_coach_assignment", include_external_ids=True)
                )
                read = client.assignments.list(include_external_ids=True)
                return [ours(one) async for one in read], [theirs(one) for one in listed]

            ours_listed, theirs_listed = await read_both()
            assert ours_listed == theirs_listed
            assert len(ours_listed) > 100
            driver, coach = api.world.drivers[0], api.world.coaches[-1]
            put = sdk_method(samsara, "put_driver_coach_assignment", driver_id=driver)
            assign, unassign = client.assignments.assign, client.assignments.unassign

            changes = (await put(coach_id=coach)).data, await assign(driver, coach)
            assert [one.coach_id for one in changes] == [coach, coach]
            ours_listed, theirs_listed = await read_both()
            assert ours_listed == theirs_listed
            assert driver in {one["driver"]["driverId"] for one in ours_listed}

            changes = (await put()).data, await unassign(driver)
            assert [one.coach_id for one in changes] == [None, None]
            ours_listed, theirs_listed = await read_both()
            assert ours_listed == theirs_listed
            assert driver not in {one["driver"]["driverId"] for one in ours_listed}


SURVIVED = [profile for profile in Profile.every() if not profile.spurious_refusals]
"""The SDK gives up at a refusal."""


@pytest.mark.parametrize("profile", SURVIVED, ids=str)
async def test_our_requests_and_theirs_get_the_same_sessions_under_every_profile(profile):
    """The emulator treats this library like the SDK: the same requests get the same sessions."""
    world = World(sessions=90, changes_per_hour=0)
    async with Emulator(world, profile=profile, page_size=40, **NO_LIMITS) as api:
        end = api.now
        async with httpx.AsyncClient() as http:
            samsara = AsyncSamsara(token=TOKEN, base_url=api.url, httpx_client=http)
            call_method = sdk_method(
                samsara, "get_coaching_sessions", start_time=LONG_AGO, end_time=end
            )
            listed = [theirs(one) for one in await every_page(call_method)]
        # It repeats what pages share.
        listed = [one for place, one in enumerate(listed) if one not in listed[:place]]
        limits = RateLimits(sessions=None)
        async with Client(TOKEN, base_url=api.url, rate_limits=limits) as client:
            stream = client.sessions.stream(start_time=LONG_AGO, end_time=end)
            assert [ours(one) async for one in stream] == listed


ODD_VALUES = [None, "", "x", 7, -1, 7.5, 1e30, True, {}, [], *("2019-06-13", "2019-06-13T19:08Z")]
ODD_VALUES += ["2019-06-13T19:08:25", "2019-06-13_19:08:25,5z", "2019-06-13T19:08:25\u221202:00"]
ODD_VALUES += [1560452905, 1560452905.5, 1560452905123, "1560452905", "1560452905123", "-1"]


def odd_records(record, path=()):
    """Yield the path of each part of a record, with each value to put there; ... removes it."""
    for key in record if isinstance(record, dict) else range(len(record)):
        for value in (..., *ODD_VALUES):
            yield (*path, key), value
        if isinstance(record[key], dict | list):
            yield from odd_records(record[key], (*path, key))


def changed(record, path, value):
    record = inner = copy.deepcopy(record)
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return record


def sdk_reads(kind, record):
    try:
        return parse_obj_as(kind, record)
    except (ValueError, TypeError):
        return None


def test_every_odd_session_that_the_sdk_reads_is_read():
    read = 0
    for path, value in odd_records(payloads.SESSION):
        record = changed(payloads.SESSION, path, value)
        if sdk_reads(CoachingSessionsResponseResponseBody, record) is not None:
            session = pages.session(json.dumps(record).encode())
            assert isinstance(session, CoachingSession), f"{path} = {value!r}: {session}"
            read += 1
    assert read > len(ODD_VALUES)


def test_every_odd_assignment_that_the_sdk_reads_is_read():
    read = 0
    for path, value in odd_records(payloads.ASSIGNMENT):
        record = changed(payloads.ASSIGNMENT, path, value)
        if sdk_reads(CoachAssignmentWithDriverExternalIdsResponseResponseBody, record) is not None:
            (one,), _ = assignments.assignments_page(payloads.page(record))
            assert isinstance(one, CoachAssignment), f"{path} = {value!r}: {one}"
            read += 1
    assert read > len(ODD_VALUES)


def times_as_text():
    """Times as the SDK may meet them: with other separators, without seconds or an offset."""
    date = st.dates(min_value=datetime(1900, 1, 1).date()).map(str)  # noqa: DTZ001  # no time
    clock = st.times().map(str) | st.from_regex(r"[0-2][0-9]:[0-5][0-9]", fullmatch=True)
    zone = st.sampled_from(["", "Z", "z", "+00:00", "-05:30", "+0545", "\u221202:00"])
    whole = st.tuples(date, st.sampled_from("Tt _"), clock, zone).map("".join)
    return whole | date | st.integers(-(10**10), 10**13).map(str)


@given(times_as_text() | st.integers(-(10**10), 10**13) | st.floats(0, 1e13))
def test_times_that_the_sdk_reads_are_read_as_the_same_moments(written):
    record = payloads.SESSION | {"updatedAtTime": written}
    theirs_read = sdk_reads(CoachingSessionsResponseResponseBody, record)
    if theirs_read is None:
        return
    moment = theirs_read.updated_at_time
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    session = pages.session(json.dumps(record).encode())
    assert isinstance(session, CoachingSession), session
    assert abs(session.updated_at_time - moment) <= timedelta(microseconds=1)
