"""The list of assignments, and changes to it."""

import asyncio

import pytest

from coachstream import (
    Client,
    CursorLoopError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    UndecodableError,
)
from coachstream.emulator import World, cut_short, hang_up, refuse, serve
from tests.support.emulated import TOKEN, feed, most_in_a_second
from tests.support.virtual_time import virtual


@virtual
async def test_the_list_reads_all_pages():
    async with feed(page_size=7) as (api, client, _):
        listed = {one.driver.driver_id: one.coach_id async for one in client.assignments.list()}
        assert listed == api.world.assignments
        assert len(api.requests) > 20
        assert most_in_a_second([request.at for request in api.requests]) <= 10
        assert {request.status for request in api.requests} == {200}


@virtual
async def test_the_list_can_be_filtered():
    async with feed() as (api, client, _):
        driver, coach = next(iter(api.world.assignments.items()))
        external = next(
            (one, f"{key}:{value}")
            for one, ids in api.world.external_ids.items()
            for key, value in ids.items()
            if one in api.world.assignments and one != driver and "," not in value
        )
        listing = client.assignments.list(
            driver_ids=[driver, external[1]], include_external_ids=True
        )
        listed = {one.driver.driver_id: one.driver.external_ids async for one in listing}
        assert set(listed) == {driver, external[0]}
        assert listed[external[0]] == api.world.external_ids[external[0]]
        of_coach = [one async for one in client.assignments.list(coach_ids=[coach])]
        assert {one.coach_id for one in of_coach} == {coach}


@virtual
async def test_a_coach_is_assigned_and_removed():
    async with feed() as (api, client, _):
        driver, coach = api.world.drivers[0], api.world.coaches[0]
        given = await client.assignments.assign(driver, coach)
        assert (given.driver.driver_id, given.coach_id) == (driver, coach)
        assert api.world.assignments[driver] == coach
        taken = await client.assignments.unassign(driver)
        assert taken.coach_id is None
        assert driver not in api.world.assignments
        put, removal = api.requests[-2:]
        assert (put.method, put.raw_query) == ("PUT", f"driverId={driver}&coachId={coach}")
        assert (removal.method, removal.raw_query) == ("PUT", f"driverId={driver}")
        assert put.headers.get("content-length", "0") == "0"


@pytest.mark.parametrize("fault", [refuse(429, retry_after=0.4), hang_up(), cut_short(3)])
def test_a_change_is_retried_when_the_response_is_lost(fault):
    @virtual
    async def run():
        async with feed(faults=[fault]) as (api, client, _):
            driver, coach = api.world.drivers[0], api.world.coaches[0]
            await client.assignments.assign(driver, coach)
            assert api.world.assignments[driver] == coach
            assert len(api.requests) == 2

    run()


@virtual
async def test_an_unknown_id_is_not_found():
    async with feed() as (_, client, _):
        with pytest.raises(NotFoundError):
            await client.assignments.assign("no such driver", "1")


@pytest.mark.parametrize("cursor", ["", "a"])
def test_a_list_whose_pages_repeat_raises(cursor):
    @virtual
    async def run():
        body = f'{{"data":[],"pagination":{{"endCursor":"{cursor}","hasNextPage":true}}}}'
        async with feed(faults=[refuse(200, body=body)] * 9) as (api, client, _):
            with pytest.raises(CursorLoopError):
                [one async for one in client.assignments.list()]
            assert len(api.requests) <= 2

    run()


@virtual
async def test_an_undecodable_list_raises_after_all_tries():
    async with feed(faults=[refuse(200, body="[]")] * 8) as (api, client, _):
        with pytest.raises(UndecodableError):
            [one async for one in client.assignments.list()]
        assert len(api.requests) == 8


@pytest.mark.parametrize("bad", ["", "  ", None, 7])
async def test_a_write_needs_real_ids(bad):
    async with Client(TOKEN) as client:
        with pytest.raises(InvalidArgumentError, match="^driver_id: "):
            await client.assignments.assign(bad, "1")
        with pytest.raises(InvalidArgumentError, match="^coach_id: "):
            await client.assignments.assign("1", bad)
        with pytest.raises(InvalidArgumentError, match="^driver_id: "):
            await client.assignments.unassign(bad)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("driver_ids", []), ("driver_ids", "1"), ("coach_ids", ["1,2"]), ("include_external_ids", 1)],
)
async def test_a_bad_filter_is_refused_at_the_call(argument, value):
    async with Client(TOKEN) as client:
        with pytest.raises(InvalidArgumentError, match=f"^{argument}: "):
            client.assignments.list(**{argument: value})


@virtual
async def test_an_empty_organisation_has_an_empty_list():
    async with feed(World(drivers=0, sessions=0, changes_per_hour=0)) as (_, client, _):
        assert [one async for one in client.assignments.list()] == []


@virtual
async def test_a_time_out_or_failure_while_iterating_loses_and_repeats_nothing():
    async with feed(page_size=10, latency=1.0) as (api, client, _):
        api.faults.extend([serve(), refuse(403), serve(), refuse(403)])
        listing, listed = client.assignments.list(), []
        ended = False
        while not ended:
            try:
                listed.append(await asyncio.wait_for(anext(listing), timeout=0.4))
            except (TimeoutError, ForbiddenError):
                pass  # the next anext() continues
            except StopAsyncIteration:
                ended = True
        drivers = [one.driver.driver_id for one in listed]
        assert len(drivers) == len(set(drivers))
        assert set(drivers) == set(api.world.assignments)


@pytest.mark.parametrize("absent", ["null", '""'])
def test_times_may_be_null_or_empty(absent):
    @virtual
    async def run():
        item = f'{{"driver":{{"driverId":"1"}},"coachId":"2","createdAtTime":{absent}}}'
        page = f'{{"data":[{item}],"pagination":{{"endCursor":null,"hasNextPage":false}}}}'
        put = f'{{"data":{{"driverId":"1","coachId":"2","updatedAtTime":{absent}}}}}'
        async with feed(faults=[refuse(200, body=page), refuse(200, body=put)]) as (api, client, _):
            (listed,) = [one async for one in client.assignments.list()]
            assert (listed.coach_id, listed.created_at_time) == ("2", None)
            assert (await client.assignments.assign("1", "2")).updated_at_time is None
            assert len(api.requests) == 2

    run()
