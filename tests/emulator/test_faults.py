"""Each fault, as a client sees it."""

import asyncio
import gzip
import json
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from coachstream.emulator import (
    Emulator,
    Profile,
    World,
    cut_short,
    empty_page,
    garble,
    hang_up,
    malformed_session,
    oversize,
    redirect,
    refuse,
    serve,
    slow,
    stall,
)

SESSIONS = "/coaching/sessions/stream"
ASSIGNMENTS = "/coaching/driver-coach-assignments"
START = {"startTime": "2020-01-01T00:00:00Z"}


async def raw(api, path, method="GET", **params):
    """Return the raw bytes of the response; aiohttp would retry by itself after a hang-up."""
    url = URL(api.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    target = f"{path}?{urlencode(params)}"
    writer.write(
        f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


class Calls:
    def __init__(self, api, http):
        self.api, self.http = api, http

    def get(self, path=SESSIONS, **params):
        params = {**START, **params} if path == SESSIONS else params
        return self.http.get(path, params=params, allow_redirects=False)

    async def read(self, path=SESSIONS, **params):
        async with self.get(path, **params) as answer:
            return answer.status, await answer.read()

    async def page(self, path=SESSIONS, **params):
        status, body = await self.read(path, **params)
        assert status == 200, body
        return json.loads(body)


@pytest_asyncio.fixture
async def calls(request):
    world = World(sessions=25, drivers=9, changes_per_hour=0)
    settings = {"page_size": 10, "sessions_per_second": None, **getattr(request, "param", {})}
    async with (
        Emulator(world, **settings) as api,
        # A new connection each time: aiohttp retries by itself when an old one breaks.
        aiohttp.ClientSession(
            api.url,
            headers={"Authorization": "Bearer t", "Accept-Encoding": "identity"},
            connector=aiohttp.TCPConnector(force_close=True),
        ) as http,
    ):
        yield Calls(api, http)


async def test_faults_apply_one_per_request_in_order(calls):
    calls.api.faults.extend([refuse(500), serve(), refuse(502)])
    assert [(await calls.read())[0] for _ in range(4)] == [500, 200, 502, 200]
    assert [request.fault for request in calls.api.requests] == [
        refuse(500),
        serve(),
        refuse(502),
        None,
    ]


async def test_a_fault_waits_for_its_route(calls):
    calls.api.faults.extend([refuse(500, route="assignments"), refuse(502, route="sessions")])
    assert (await calls.read())[0] == 502
    assert (await calls.read())[0] == 200
    assert (await calls.read(ASSIGNMENTS))[0] == 500


async def test_faults_can_be_passed_to_the_constructor():
    async with (
        Emulator(faults=[refuse(500)]) as api,
        aiohttp.ClientSession(api.url, headers={"Authorization": "Bearer t"}) as http,
        http.get(SESSIONS) as answer,
    ):
        assert answer.status == 500


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 429, 500, 501, 502, 503, 504])
async def test_refuse_sends_the_error_body_of_the_api(calls, status):
    calls.api.faults.append(refuse(status))
    got, body = await calls.read()
    assert got == status
    assert set(json.loads(body)) == {"message", "requestId"}


@pytest.mark.parametrize("calls", [{"profile": Profile(error_bodies="text")}], indirect=True)
async def test_server_errors_can_be_text_by_profile(calls):
    calls.api.faults.extend([refuse(503), refuse(429)])
    async with calls.get() as answer:
        assert answer.content_type == "text/plain"
        assert await answer.text() == "Service unavailable."
    async with calls.get() as answer:
        assert (await answer.json())["message"] == "Exceeded rate limit."


async def test_refuse_accepts_retry_after_body_and_headers(calls):
    calls.api.faults.extend(
        [
            refuse(429, retry_after=0.402349),
            refuse(503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT", body="overloaded"),
            refuse(500, body=b"\xff", headers={"X-Sort": "odd"}),
        ]
    )
    async with calls.get() as answer:
        assert answer.headers["Retry-After"] == "0.40235"
    async with calls.get() as answer:
        assert answer.headers["Retry-After"] == "Wed, 21 Oct 2026 07:28:00 GMT"
        assert await answer.text() == "overloaded"
    async with calls.get() as answer:
        assert answer.headers["X-Sort"] == "odd"
        assert await answer.read() == b"\xff"


async def test_hang_up_closes_without_a_response(calls):
    calls.api.faults.append(hang_up())
    assert await raw(calls.api, SESSIONS, **START) == b""
    [request] = calls.api.requests
    assert (request.status, request.served, request.fault) == (0, (), hang_up())
    assert (await calls.read())[0] == 200


async def test_cut_short_announces_the_whole_body_and_sends_a_part(calls):
    _, whole = await calls.read()
    calls.api.faults.append(cut_short(bytes=30))
    head, _, body = (await raw(calls.api, SESSIONS, **START)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"Content-Length: {len(whole)}".encode() in head
    assert body == whole[:30]
    assert calls.api.requests[-1].served == ()


async def test_cut_short_never_sends_the_whole_body(calls):
    calls.api.faults.append(cut_short(bytes=10**9))
    async with calls.get() as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_put_that_was_cut_short_has_taken_effect(calls):
    world = calls.api.world
    driver, coach = world.drivers[0], world.coaches[0]
    calls.api.faults.extend([hang_up(), cut_short(0)])
    params = {"driverId": driver, "coachId": coach}
    world.unassign(driver)
    assert await raw(calls.api, ASSIGNMENTS, "PUT", **params) == b""
    assert driver not in world.assignments
    async with calls.http.put(ASSIGNMENTS, params=params) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert world.assignments[driver] == coach


async def test_stall_sends_half_of_the_body_and_then_nothing(calls):
    _, whole = await calls.read()
    calls.api.faults.append(stall())
    async with calls.get() as answer:
        got = await answer.content.readexactly(len(whole) // 2)
        assert got == whole[: len(whole) // 2]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await answer.content.read(1)
    assert calls.api.requests[-1].served == ()


async def test_stall_ends_by_closing_the_connection(calls):
    calls.api.faults.append(stall(0.01))
    async with calls.get() as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_slow_is_late_but_whole(calls):
    _, whole = await calls.read(endTime="2030-01-01T00:00:00Z")
    calls.api.faults.append(slow(0.01))
    _, late = await calls.read(endTime="2030-01-01T00:00:00Z")
    assert json.loads(late)["data"] == json.loads(whole)["data"]
    assert len(calls.api.requests[-1].served) == 10


async def test_garble_is_a_200_that_is_not_json(calls):
    calls.api.faults.append(garble())
    status, body = await calls.read()
    assert status == 200
    with pytest.raises(ValueError, match="decode"):
        json.loads(body)
    assert calls.api.requests[0].served == ()


async def test_redirect_sends_the_location(calls):
    calls.api.faults.append(redirect("http://127.0.0.1:1/elsewhere"))
    async with calls.get() as answer:
        assert answer.status == 307
        assert answer.headers["Location"] == "http://127.0.0.1:1/elsewhere"


@pytest.mark.parametrize("path", [SESSIONS, ASSIGNMENTS])
async def test_oversize_is_an_empty_page_of_any_size(calls, path):
    calls.api.faults.append(oversize(3_000_000))
    _, body = await calls.read(path)
    assert len(body) == 3_000_000
    page = json.loads(body)
    assert page["data"] == []
    assert page["pagination"]["hasNextPage"] is True


async def test_oversize_can_be_a_compression_bomb(calls):
    calls.api.faults.append(oversize(20_000_000, gzip=True))
    async with (
        aiohttp.ClientSession(
            calls.api.url, headers={"Authorization": "Bearer t"}, auto_decompress=False
        ) as http,
        http.get(SESSIONS, params=START) as answer,
    ):
        assert answer.headers["Content-Encoding"] == "gzip"
        packed = await answer.read()
    assert len(packed) < 100_000
    assert len(gzip.decompress(packed)) == 20_000_000


async def test_an_oversize_body_need_not_be_read_to_the_end(calls):
    calls.api.faults.append(oversize(1 << 40))
    async with calls.get() as answer:
        await answer.content.readexactly(1_000_000)
    assert (await calls.read())[0] == 200


@pytest.mark.parametrize("path", [SESSIONS, ASSIGNMENTS])
async def test_empty_page_skips_nothing(calls, path):
    first = await calls.page(path)
    after = first["pagination"]["endCursor"]
    second = await calls.page(path, after=after)
    calls.api.faults.append(empty_page())
    empty = await calls.page(path, after=after)
    assert empty["data"] == []
    assert empty["pagination"]["hasNextPage"] is True
    cursor = empty["pagination"]["endCursor"]
    assert cursor not in {"", after}
    assert (await calls.page(path, after=cursor))["data"] == second["data"]


async def test_empty_page_can_come_first(calls):
    whole = await calls.page()
    calls.api.faults.append(empty_page())
    empty = await calls.page()
    again = await calls.page(after=empty["pagination"]["endCursor"])
    assert again["data"] == whole["data"]


async def test_malformed_session_changes_the_first_session_only(calls):
    whole = await calls.page()
    calls.api.faults.extend(
        [malformed_session(id=7, driver=..., behaviors=None), malformed_session()]
    )
    first, *others = (await calls.page())["data"]
    assert others == whole["data"][1:]
    expected = {**whole["data"][0], "id": 7, "behaviors": None}
    del expected["driver"]
    assert first == expected
    assert (await calls.page())["data"][0]["updatedAtTime"] == "yesterday"


async def test_malformed_session_does_not_change_an_empty_page(calls):
    calls.api.faults.append(malformed_session())
    assert (await calls.page(driverIds="nobody"))["data"] == []


@pytest.mark.parametrize("calls", [{"sessions_per_second": 0.001}], indirect=True)
async def test_faults_that_bypass_the_endpoint_do_not_count_towards_the_limit(calls):
    calls.api.faults.extend([refuse(500), garble(), redirect("/"), serve()])
    statuses = [(await calls.read())[0] for _ in range(5)]
    assert statuses == [500, 200, 307, 200, 429]


@pytest.mark.parametrize("calls", [{"token": "secret"}], indirect=True)
async def test_a_request_with_a_wrong_token_uses_up_no_fault(calls):
    calls.api.faults.append(refuse(500))
    assert (await calls.read())[0] == 401
    assert list(calls.api.faults) == [refuse(500)]
