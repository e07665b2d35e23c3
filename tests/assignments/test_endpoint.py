"""The list of assignments, and changes to it."""

import asyncio
import gc
import json
import pickle

import pytest

from coachstream import (
    Client,
    ClosedError,
    CoachStreamError,
    CursorLoopError,
    ForbiddenError,
    InvalidArgumentError,
    MalformedAssignmentError,
    NotFoundError,
    StreamInUseError,
    UnauthorizedError,
    UndecodableError,
)
from coachstream.emulator import World, cut_short, garble, hang_up, refuse, serve, stall
from tests.support import payloads
from tests.support.emulated import TOKEN, feed, most_in_a_second
from tests.support.virtual_time import LoopClock, pass_time, virtual


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


FAILURES = [
    refuse(404),
    refuse(403),
    refuse(503),
    hang_up(),
    cut_short(3),
]


@pytest.mark.parametrize("fault", FAILURES, ids=lambda fault: str(fault.kind))
def test_an_error_of_a_change_names_the_driver_and_the_coach(fault):
    @virtual
    async def run():
        async with feed(faults=[fault] * 16) as (_, client, _):
            with pytest.raises(CoachStreamError, match=r"\(driver 1, coach 2\)$") as caught:
                await client.assignments.assign("1", "2")
            error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # ours
            assert (error.driver_id, error.coach_id) == ("1", "2")
            assert type(error) is type(caught.value)
            with pytest.raises(CoachStreamError, match=r"\(driver 1, no coach\)$") as caught:
                await client.assignments.unassign("1")
            assert (caught.value.driver_id, caught.value.coach_id) == ("1", None)

    run()


@virtual
async def test_changes_that_fail_for_one_reason_name_each_its_own_driver():
    async def no_token():
        await pass_time(1)
        raise UnauthorizedError(401, "revoked")

    async with Client(no_token, clock=LoopClock()) as client:
        changes = [client.assignments.assign(str(n), "2") for n in range(3)]
        failures = await asyncio.gather(*changes, return_exceptions=True)
        closed = client.assignments.assign("7", "8")
    for number, failure in enumerate(failures):
        assert isinstance(failure, UnauthorizedError)
        assert failure.driver_id == str(number)
        assert str(failure).count("driver") == 1
    with pytest.raises(ClosedError, match=r"\(driver 7, coach 8\)$"):
        await closed


@pytest.mark.parametrize("cursor", ["", "a"])
def test_a_list_whose_pages_repeat_raises(cursor):
    @virtual
    async def run():
        body = f'{{"data":[],"pagination":{{"endCursor":"{cursor}","hasNextPage":true}}}}'
        async with feed(faults=[refuse(200, body=body)] * 9) as (api, client, _):
            with pytest.raises(CursorLoopError):
                [one async for one in client.assignments.list()]
            assert len(api.requests) == (2 if cursor else 1)

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
    [
        ("driver_ids", []),
        ("driver_ids", "1"),
        ("coach_ids", ["1,2"]),
        ("include_external_ids", 1),
        ("on_malformed", dict),
    ],
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


def listed_page(*data, cursor="", more=False):
    return refuse(200, body=payloads.page(*data, endCursor=cursor, hasNextPage=more))


def assignment(driver, **odd):
    return payloads.ASSIGNMENT | {"driver": {"driverId": driver}} | odd


def drivers(listed):
    return [one.driver.driver_id for one in listed]


@virtual
async def test_an_empty_page_moves_the_cursor_and_is_not_the_end():
    faults = [
        listed_page(assignment("1"), cursor="a", more=True),
        listed_page(cursor="b", more=True),
        listed_page(assignment("2")),
    ]
    async with feed(faults=faults) as (api, client, _):
        assert drivers([one async for one in client.assignments.list()]) == ["1", "2"]
        assert [request.raw_query for request in api.requests] == ["", "after=a", "after=b"]


ODD = assignment("2", coachId=7)


@virtual
async def test_an_odd_assignment_is_raised_in_its_place_and_the_list_goes_on():
    faults = [listed_page(assignment("1"), ODD, assignment("3"))]
    async with feed(faults=faults) as (_, client, _):
        listing = client.assignments.list()
        assert (await anext(listing)).driver.driver_id == "1"
        with pytest.raises(MalformedAssignmentError) as caught:
            await anext(listing)
        assert json.loads(caught.value.raw) == ODD
        assert caught.value.driver_id == "2"
        assert str(caught.value).startswith("assignment of driver 2: ")
        assert "45646" not in str(caught.value)
        assert drivers([one async for one in listing]) == ["3"]


@virtual
async def test_an_odd_assignment_is_raised_complete_however_long():
    driver = {"driverId": "2", "externalIds": {"a": "b" * 9000}}
    odd = ODD | {"driver": driver}
    async with feed(faults=[listed_page(odd)]) as (_, client, _):
        with pytest.raises(MalformedAssignmentError) as caught:
            await anext(client.assignments.list())
        assert json.loads(caught.value.raw) == odd
        assert len(caught.value.body) == 4096


@virtual
async def test_an_odd_assignment_goes_to_on_malformed():
    no_json = payloads.page(assignment("1"), "odd", ODD, assignment("3"), hasNextPage=False)
    faults = [refuse(200, body=no_json.replace(b'"odd"', b'{"coachId":NaN}'))]
    malformed, drivers_of_malformed = [], []

    async def settle(error):
        malformed.append(error.raw)
        drivers_of_malformed.append(error.driver_id)

    async with feed(faults=faults) as (api, client, _):
        listing = client.assignments.list(on_malformed=settle)
        assert drivers([one async for one in listing]) == ["1", "3"]
        assert [malformed[0], json.loads(malformed[1])] == [b'{"coachId":NaN}', ODD]
        assert drivers_of_malformed == [None, "2"]
        assert len(api.requests) == 1


@virtual
async def test_on_malformed_that_fails_gets_the_same_assignment_again():
    given = []

    async def settle(error):
        given.append(error)
        if len(given) == 1:
            raise ZeroDivisionError

    async with feed(faults=[listed_page(ODD, assignment("3"))]) as (_, client, _):
        listing = client.assignments.list(on_malformed=settle)
        with pytest.raises(ZeroDivisionError):
            await anext(listing)
        assert (await anext(listing)).driver.driver_id == "3"
        assert given == [given[0]] * 2


@virtual
async def test_two_tasks_can_not_read_one_list():
    async with feed(latency=1.0, page_size=10) as (api, client, _):
        listing = client.assignments.list()
        first = asyncio.ensure_future(anext(listing))
        await pass_time(0.5)
        with pytest.raises(StreamInUseError):
            await anext(listing)
        read = [await first] + [one async for one in listing]
        assert sorted(drivers(read)) == sorted(api.world.assignments)


@virtual
async def test_a_list_that_nobody_holds_stops_asking():
    async with feed(faults=[refuse(503)] * 8) as (api, client, _):
        listing = client.assignments.list()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(listing), timeout=0.01)
        del listing
        gc.collect()
        await pass_time(3600)
        assert len(api.requests) <= 1


@pytest.mark.parametrize(
    ("status", "body"), [(204, ""), (200, "OK"), (200, '{"data":null}'), (201, '{"data":{}}')]
)
def test_a_change_that_is_made_is_never_made_again_for_its_response(status, body):
    @virtual
    async def run():
        odd = refuse(status, body=body)
        faults = [odd, listed_page(assignment("1", coachId="2")), odd, listed_page()]
        async with feed(faults=faults) as (api, client, _):
            assigned = await client.assignments.assign("1", "2")
            assert (assigned.driver.driver_id, assigned.coach_id) == ("1", "2")
            unassigned = await client.assignments.unassign("1")
            assert (unassigned.driver.driver_id, unassigned.coach_id) == ("1", None)
            assert [one.method for one in api.requests] == ["PUT", "GET", "PUT", "GET"]

    run()


@virtual
async def test_a_change_is_made_again_if_the_list_shows_that_it_was_not():
    async with feed(faults=[garble(), serve(), garble()]) as (api, client, _):
        driver, coach = api.world.drivers[0], api.world.coaches[0]
        await client.assignments.assign(driver, coach)
        assert api.world.assignments[driver] == coach
        await client.assignments.unassign(driver)
        assert driver not in api.world.assignments


@virtual
async def test_a_change_counts_as_made_if_the_list_can_not_be_read():
    async with feed(faults=[refuse(204), refuse(403)]) as (api, client, _):
        assert (await client.assignments.assign("1", "2")).coach_id == "2"
        assert len(api.requests) == 2


@virtual
async def test_another_drivers_coach_denies_no_change():
    faults = [refuse(204), listed_page(assignment("7", coachId="9"))]
    async with feed(faults=faults) as (api, client, _):
        assert (await client.assignments.unassign("1")).coach_id is None
        assert len(api.requests) == 2


@virtual
async def test_a_change_is_not_said_to_be_made_when_the_client_is_closed_meanwhile():
    async with feed(faults=[refuse(204), stall()]) as (api, client, _):
        changing = asyncio.ensure_future(client.assignments.assign("1", "2"))
        await pass_time(10)
        assert [one.method for one in api.requests] == ["PUT", "GET"]
        await client.aclose()
        with pytest.raises(ClosedError):
            await changing


@virtual
async def test_a_change_that_is_retried_does_not_undo_a_later_one():
    async with feed(faults=[refuse(503)] * 3) as (api, client, _):
        driver, (first, second, *_) = api.world.drivers[0], api.world.coaches
        one = asyncio.ensure_future(client.assignments.assign(driver, first))
        await pass_time(0.01)
        other = asyncio.ensure_future(client.assignments.assign(driver, second))
        assert (await one).coach_id == first
        assert (await other).coach_id == second
        assert api.world.assignments[driver] == second


@virtual
async def test_changes_of_different_drivers_do_not_wait_for_each_other():
    async with feed(latency=1.0) as (api, client, _):
        coach = api.world.coaches[0]
        changes = (client.assignments.assign(one, coach) for one in api.world.drivers[:10])
        began = LoopClock().monotonic()
        await asyncio.gather(*changes)
        assert LoopClock().monotonic() - began < 3


@virtual
async def test_a_change_that_is_cancelled_lets_the_next_one_go():
    async with feed(latency=1.0) as (api, client, _):
        driver, (first, second, *_) = api.world.drivers[0], api.world.coaches
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.assignments.assign(driver, first), timeout=0.5)
        assert (await client.assignments.assign(driver, second)).coach_id == second
        assert not client.assignments._changing


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
