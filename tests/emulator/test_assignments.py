"""The assignments endpoint, over HTTP."""

from datetime import timedelta

import aiohttp
import pytest
import pytest_asyncio

from coachstream.emulator import Emulator, Profile, World

PATH = "/coaching/driver-coach-assignments"


class Assignments:
    def __init__(self, api, http):
        self.api, self.http = api, http

    async def get(self, **params):
        async with self.http.get(PATH, params=params) as answer:
            return answer.status, await answer.json()

    async def put(self, **params):
        async with self.http.put(PATH, params=params) as answer:
            return answer.status, await answer.json()

    async def everything(self, **params):
        read, after = [], ""
        for _ in range(200):
            status, page = await self.get(after=after, **params)
            assert status == 200, page
            read += page["data"]
            after = page["pagination"]["endCursor"]
            if not page["pagination"]["hasNextPage"]:
                return read
        raise AssertionError("the list did not end")


@pytest_asyncio.fixture
async def endpoint(request):
    profile = getattr(request, "param", Profile())
    world = World(sessions=0, drivers=40, coaches=3, changes_per_hour=0)
    async with (
        Emulator(world, profile=profile, page_size=7, assignments_per_second=None) as api,
        aiohttp.ClientSession(api.url, headers={"Authorization": "Bearer t"}) as http,
    ):
        yield Assignments(api, http)


def pairs(items):
    return {item["driver"]["driverId"]: item["coachId"] for item in items}


@pytest.mark.parametrize("endpoint", Profile.every(), ids=str, indirect=True)
async def test_all_pages_list_every_driver_with_a_coach_once(endpoint):
    items = await endpoint.everything()
    assert len(items) == len(pairs(items))
    assert pairs(items) == endpoint.api.world.assignments
    assert 0 < len(items) < 40
    assert all(set(i) == {"coachId", "createdAtTime", "driver", "updatedAtTime"} for i in items)


@pytest.mark.parametrize("endpoint", [Profile(terminal_cursor="kept")], ids=str, indirect=True)
async def test_the_last_page_may_have_a_cursor(endpoint):
    _, page = await endpoint.get(coachIds="nobody")
    assert page["data"] == []
    assert page["pagination"]["hasNextPage"] is False
    assert page["pagination"]["endCursor"]


async def test_filters_by_driver_and_coach(endpoint):
    everyone = pairs(await endpoint.everything())
    (one, coach), (two, _), *_ = everyone.items()
    assert set(pairs(await endpoint.everything(driverIds=f"{two},{one},nobody"))) == {one, two}
    assert set(pairs(await endpoint.everything(coachIds=coach))) == {
        driver for driver, theirs in everyone.items() if theirs == coach
    }


async def test_drivers_are_found_by_external_id_too(endpoint):
    world = endpoint.api.world
    driver, ids = next((d, i) for d, i in world.external_ids.items() if "payroll" in i)
    world.assign(driver, world.coaches[0])
    [item] = await endpoint.everything(
        driverIds=f"payroll:{ids['payroll']}", includeExternalIds="true"
    )
    assert item["driver"] == {"driverId": driver, "externalIds": ids}
    [item] = await endpoint.everything(driverIds=driver)
    assert item["driver"] == {"driverId": driver}


async def test_put_creates_changes_and_removes(endpoint):
    world = endpoint.api.world
    driver = next(d for d in world.drivers if d not in world.assignments)
    first, second, _ = world.coaches

    status, made = await endpoint.put(driverId=driver, coachId=first)
    assert status == 200
    assert made["data"]["driverId"] == driver
    assert made["data"]["coachId"] == first
    assert made["data"]["createdAtTime"] == made["data"]["updatedAtTime"]
    assert pairs(await endpoint.everything())[driver] == first

    _, changed = await endpoint.put(driverId=driver, coachId=second)
    assert changed["data"]["createdAtTime"] == made["data"]["createdAtTime"]
    assert changed["data"]["updatedAtTime"] > made["data"]["updatedAtTime"]
    assert pairs(await endpoint.everything())[driver] == second

    _, removed = await endpoint.put(driverId=driver)
    assert set(removed["data"]) == {"driverId", "createdAtTime", "updatedAtTime"}
    assert driver not in pairs(await endpoint.everything())


async def test_removing_a_coach_that_was_never_assigned_is_accepted(endpoint):
    world = endpoint.api.world
    driver = next(d for d in world.drivers if d not in world.assignments)
    status, answer = await endpoint.put(driverId=driver)
    assert status == 200
    assert "coachId" not in answer["data"]


async def test_put_reads_the_query_and_not_the_body(endpoint):
    world = endpoint.api.world
    driver = world.drivers[0]
    async with endpoint.http.put(
        PATH, json={"driverId": driver, "coachId": world.coaches[0]}
    ) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, '"driverId" is missing from query string'),
        ({"driverId": ""}, '"driverId" is missing from query string'),
        ({"driverId": "KNOWN", "coachId": ""}, "Invalid value for parameter."),
    ],
    ids=str,
)
async def test_a_bad_put_is_refused_and_changes_nothing(endpoint, params, message):
    before = endpoint.api.world.assignments
    known = endpoint.api.world.drivers[0]
    status, body = await endpoint.put(**{k: v.replace("KNOWN", known) for k, v in params.items()})
    assert (status, body["message"]) == (400, message)
    assert endpoint.api.world.assignments == before


@pytest.mark.parametrize(
    "endpoint", [Profile(unknown_id_status=n) for n in (404, 400)], ids=str, indirect=True
)
async def test_unknown_ids_are_refused_with_the_status_of_the_profile(endpoint):
    world, wanted = endpoint.api.world, endpoint.api.profile.unknown_id_status
    before = world.assignments
    external = next(f"payroll:{i['payroll']}" for i in world.external_ids.values() if i)
    for params in (
        {"driverId": "1"},
        {"driverId": "1", "coachId": world.coaches[0]},
        {"driverId": world.drivers[0], "coachId": "1"},
        {"driverId": world.drivers[0], "coachId": "null"},
        {"driverId": external, "coachId": world.coaches[0]},
    ):
        status, body = await endpoint.put(**params)
        assert status == wanted, params
        assert set(body) == {"message", "requestId"}
    assert world.assignments == before


async def test_a_cursor_is_valid_only_for_its_list(endpoint):
    _, page = await endpoint.get()
    cursor = page["pagination"]["endCursor"]
    status, body = await endpoint.get(after=cursor, includeExternalIds="true")
    assert (status, body["message"]) == (
        400,
        "Parameters differ from previous paginated request.",
    )
    async with endpoint.http.get(
        "/coaching/sessions/stream", params={"startTime": "2020-01-01T00:00:00Z", "after": cursor}
    ) as answer:
        assert answer.status == 400
    endpoint.api.advance(timedelta(days=31))
    assert (await endpoint.get(after=cursor))[0] == 400
