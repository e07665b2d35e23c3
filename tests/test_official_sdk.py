"""What the vendor's own SDK reads equals what this library reads, record by record."""

import asyncio
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from samsara import AsyncSamsara, Samsara

from coachstream import Client, RateLimits
from coachstream.emulator import Emulator, Profile, World
from coachstream.models import CoachAssignment, CoachingSession
from tests.support.emulated import LONG_AGO, TOKEN

NO_LIMITS: dict[str, Any] = {"sessions_per_second": None, "assignments_per_second": None}


def ours(read):
    """A record of ours as plain values under the API's names, absent ones left out."""
    return _without_none(msgspec.to_builtins(read))


def theirs(read):
    """The same of a record of theirs."""
    kind = CoachingSession if hasattr(read, "session_status") else CoachAssignment
    # By way of our struct, so that both spell a moment alike; both sides' values are compared.
    raw = _without_none(read.model_dump(by_alias=True, mode="json"))
    assert set(raw) <= set(kind.__struct_encode_fields__)
    return ours(msgspec.convert(raw, kind))


def _without_none(value):
    if isinstance(value, dict):
        return {name: _without_none(one) for name, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_without_none(one) for one in value]
    return value


async def every_page(ask):
    """Ask the SDK page after page, as its users have to."""
    records, after = [], None
    while True:
        answer = await ask(after=after)
        records += answer.data
        after = answer.pagination.end_cursor
        if not answer.pagination.has_next_page:
            return records


def asker(samsara, method, **arguments):
    """Return a coroutine function that asks either kind of client."""

    async def ask(**more):
        call = partial(getattr(samsara.coaching, method), **arguments, **more)
        return await (call() if isinstance(samsara, AsyncSamsara) else asyncio.to_thread(call))

    return ask


@pytest_asyncio.fixture(params=["async", "sync"])
async def official(request):
    """Build the SDK's client for a URL; it does not close what it opens itself."""
    async with httpx.AsyncClient() as http:
        with httpx.Client() as sync_http:
            if request.param == "async":
                yield partial(AsyncSamsara, token=TOKEN, httpx_client=http)
            else:
                yield partial(Samsara, token=TOKEN, httpx_client=sync_http)


async def test_sessions_are_read_alike(official):
    world = World(seed=3, sessions=400, changes_per_hour=0)
    async with Emulator(world, token=TOKEN, page_size=(20, 70), **NO_LIMITS) as api:
        theirs_read = await every_page(
            asker(
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


async def test_assignments_are_read_and_changed_alike(official):
    async with Emulator(World(changes_per_hour=0), token=TOKEN, **NO_LIMITS) as api:
        samsara = official(base_url=api.url)
        limits = RateLimits(assignments=None)
        async with Client(TOKEN, base_url=api.url, rate_limits=limits) as client:

            async def both():
                listed = await every_page(
                    asker(samsara, "get_driver_coach_assignment", include_external_ids=True)
                )
                read = client.assignments.list(include_external_ids=True)
                return [ours(one) async for one in read], [theirs(one) for one in listed]

            we, they = await both()
            assert we == they
            assert len(we) > 100
            driver, coach = api.world.drivers[0], api.world.coaches[-1]
            put = asker(samsara, "put_driver_coach_assignment", driver_id=driver)
            assign, unassign = client.assignments.assign, client.assignments.unassign

            answers = (await put(coach_id=coach)).data, await assign(driver, coach)
            assert [one.coach_id for one in answers] == [coach, coach]
            we, they = await both()
            assert we == they
            assert driver in {one["driver"]["driverId"] for one in we}

            answers = (await put()).data, await unassign(driver)
            assert [one.coach_id for one in answers] == [None, None]
            we, they = await both()
            assert we == they
            assert driver not in {one["driver"]["driverId"] for one in we}


@pytest.mark.parametrize("profile", Profile.every(), ids=str)
async def test_our_requests_and_theirs_are_answered_alike_under_every_profile(profile):
    """The emulator has no second face for this library: same pages for the same questions."""
    world = World(sessions=90, changes_per_hour=0)
    async with Emulator(world, profile=profile, page_size=40, **NO_LIMITS) as api:
        end = api.now
        async with httpx.AsyncClient() as http:
            samsara = AsyncSamsara(token=TOKEN, base_url=api.url, httpx_client=http)
            ask = asker(samsara, "get_coaching_sessions", start_time=LONG_AGO, end_time=end)
            listed = [theirs(one) for one in await every_page(ask)]
        limits = RateLimits(sessions=None)
        async with Client(TOKEN, base_url=api.url, rate_limits=limits) as client:
            stream = client.sessions.stream(start_time=LONG_AGO, end_time=end)
            assert [ours(one) async for one in stream] == listed
