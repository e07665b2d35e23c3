"""The vendor's own SDK works against the emulator, unmodified."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio
from samsara import AsyncSamsara, Samsara
from samsara.core.api_error import ApiError
from samsara.errors import NotFoundError, UnauthorizedError

from coachstream.emulator import Emulator, World, refuse

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture
async def api():
    world = World(sessions=150, drivers=30, changes_per_hour=0)
    async with Emulator(
        world,
        token="secret",
        page_size=(20, 40),
        sessions_per_second=None,
        assignments_per_second=None,
    ) as running:
        yield running


@pytest_asyncio.fixture
async def samsara(api):
    # The SDK never closes a client that it created itself.
    async with httpx.AsyncClient() as http:
        yield AsyncSamsara(token="secret", base_url=api.url, httpx_client=http)


@pytest.fixture
def sync_samsara(api):
    with httpx.Client() as http:
        yield Samsara(token="secret", base_url=api.url, httpx_client=http)


def sessions_of(samsara, **filters):
    """Read every page, as the SDK's user has to."""
    after = None
    while True:
        page = samsara.coaching.get_coaching_sessions(start_time=LONG_AGO, after=after, **filters)
        yield from page.data
        after = page.pagination.end_cursor
        if not page.pagination.has_next_page:
            return


async def test_the_sync_sdk_reads_every_session(api, sync_samsara):
    read = await asyncio.to_thread(
        lambda: list(
            sessions_of(sync_samsara, include_coachable_events=True, include_external_ids=True)
        )
    )
    whole = api.world.sessions()
    assert [s.id for s in read] == [s["id"] for s in whole]
    assert [s.session_note for s in read] == [s.get("sessionNote") for s in whole]
    assert [s.driver.external_ids for s in read] == [s["driver"].get("externalIds") for s in whole]
    linkages = [e.linkage for s in read for b in s.behaviors for e in b.coachable_events or ()]
    assert any(linkage is not None and linkage.source_id for linkage in linkages)


async def test_the_async_sdk_reads_every_session(api, samsara):
    read, after = [], None
    while True:
        page = await samsara.coaching.get_coaching_sessions(start_time=LONG_AGO, after=after)
        read += page.data
        after = page.pagination.end_cursor
        if not page.pagination.has_next_page:
            break
    assert [s.id for s in read] == [s["id"] for s in api.world.sessions()]


async def test_the_sdk_filters_with_repeated_keys(api, sync_samsara):
    drivers = api.world.drivers[:3]
    read = await asyncio.to_thread(
        lambda: list(sessions_of(sync_samsara, driver_ids=list(drivers)))
    )
    assert {s.driver.driver_id for s in read} == set(drivers)
    assert api.requests[0].raw_query.count("driverIds=") == 3


async def test_the_sdk_lists_assigns_and_removes(api, samsara):
    listed: dict[str, str] = {}
    after = None
    while True:
        page = await samsara.coaching.get_driver_coach_assignment(after=after)
        listed |= {item.driver.driver_id: item.coach_id for item in page.data}
        after = page.pagination.end_cursor
        if not page.pagination.has_next_page:
            break
    assert listed == api.world.assignments

    driver, coach = api.world.drivers[0], api.world.coaches[0]
    put = samsara.coaching.put_driver_coach_assignment
    assert (await put(driver_id=driver, coach_id=coach)).data.coach_id == coach
    assert api.world.assignments[driver] == coach
    assert (await put(driver_id=driver)).data.coach_id is None
    assert driver not in api.world.assignments


async def test_the_sync_sdk_lists_assigns_and_removes(api, sync_samsara):
    coaching = sync_samsara.coaching
    driver, coach = api.world.drivers[0], api.world.coaches[0]
    listed = await asyncio.to_thread(coaching.get_driver_coach_assignment)
    assert {item.driver.driver_id for item in listed.data} <= set(api.world.assignments)
    await asyncio.to_thread(coaching.put_driver_coach_assignment, driver_id=driver, coach_id=coach)
    assert api.world.assignments[driver] == coach
    await asyncio.to_thread(coaching.put_driver_coach_assignment, driver_id=driver)
    assert driver not in api.world.assignments


async def test_the_sdk_understands_the_errors(api, samsara):
    options = {"max_retries": 0}
    async with httpx.AsyncClient() as http:
        unauthorized = AsyncSamsara(token="wrong", base_url=api.url, httpx_client=http).coaching
        with pytest.raises(UnauthorizedError):
            await unauthorized.get_driver_coach_assignment(request_options=options)

    coaching = samsara.coaching
    with pytest.raises(NotFoundError):
        await coaching.put_driver_coach_assignment(driver_id="1", request_options=options)
    with pytest.raises(ApiError) as bad:
        await coaching.get_coaching_sessions(start_time=LONG_AGO, after="MjkY")
    assert bad.value.status_code == 400
    assert bad.value.body["message"] == "invalid or expired pagination cursor"


async def test_the_sdk_retries_what_the_emulator_refuses(api, samsara):
    api.faults.append(refuse(503, retry_after="0"))
    assert (await samsara.coaching.get_driver_coach_assignment()).data
    assert [request.status for request in api.requests] == [503, 200]
