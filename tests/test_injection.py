"""Odd ids, cursors and URLs are sent unchanged, and can't change the rest of a request."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest

from coachstream import Client, CoachStreamError, InvalidArgumentError, RetryPolicy
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import Emulator, World, refuse
from tests.contracts.positions import position
from tests.support.emulated import LONG_AGO, TOKEN, feed
from tests.support.virtual_time import virtual

ODD_IDS = [
    "two words",
    " leading and trailing ",
    "1&coachId=666",
    "1&driverId=2",
    "1#fragment",
    "1?x=1",
    "1;x=1",
    "1=2",
    "100%",
    "%0d%0aX-Odd:%201",
    "%00",
    "%26coachId%3D666",
    "1\r\nX-Odd: 1",
    "1\r\n\r\nGET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n",
    "1\nX-Odd: 1",
    "\x00",
    "a\x00b",
    "tab\there",
    "../../elsewhere",
    "/coaching/../elsewhere",
    "\\",
    "'; DROP TABLE drivers; --",
    "payroll:4841",
    "\u00fcber",
    "\u8fd0\u8f6c\u624b",
    "\U0001f69a",
    "\u202e1234",
    "\uff06coachId\uff1d666",
    "x" * 3000,
]
ORDINARY_HEADERS = {
    *("host", "authorization", "accept", "accept-encoding", "cache-control", "user-agent"),
    *("content-length", "content-type"),
}


def only_request(api):
    (request,) = api.requests
    assert {name.lower() for name in request.headers} <= ORDINARY_HEADERS
    assert request.headers["host"] == api.url.removeprefix("http://")
    return request


@pytest.mark.parametrize("odd", ODD_IDS, ids=ascii)
def test_an_odd_id_is_sent_unchanged_in_assignments(odd):
    @virtual
    async def run():
        async with feed(client={"retry": RetryPolicy(attempts=1)}) as (api, client, _):
            quoted = quote(odd, safe="")
            for call, expected in (
                (client.assignments.assign(odd, odd), f"driverId={quoted}&coachId={quoted}"),
                (client.assignments.unassign(odd), f"driverId={quoted}"),
            ):
                with pytest.raises(CoachStreamError, match="404|400"):
                    await call
                request = only_request(api)
                assert (request.method, request.path) == (
                    "PUT",
                    "/coaching/driver-coach-assignments",
                )
                assert request.raw_query == expected
                assert {value for _, value in parse_qsl(request.raw_query)} == {odd}
                api.requests.clear()
            ids: dict[str, Any] = {"driver_ids": [odd, "2"], "coach_ids": [odd]}
            assert [one async for one in client.assignments.list(**ids)] == []
            assert only_request(api).raw_query == (f"driverIds={quoted}%2C2&coachIds={quoted}")

    run()


@pytest.mark.parametrize("odd", ODD_IDS, ids=ascii)
def test_an_odd_id_is_sent_unchanged_in_streams(odd):
    @virtual
    async def run():
        async with feed() as (api, client, _):
            stream = client.sessions.stream(
                start_time=LONG_AGO, end_time=api.now, driver_ids=[odd], coach_ids=["1", odd]
            )
            assert [one async for one in stream] == []
            request, quoted = only_request(api), quote(odd, safe="")
            assert (request.method, request.path) == ("GET", "/coaching/sessions/stream")
            assert request.raw_query.endswith(f"&driverIds={quoted}&coachIds=1%2C{quoted}")
            assert request.query["driverIds"] == odd
            assert set(request.query) == {"startTime", "endTime", "driverIds", "coachIds"}

    run()


@pytest.mark.parametrize("odd", ODD_IDS, ids=ascii)
def test_an_odd_cursor_is_sent_unchanged(odd):
    @virtual
    async def run():
        async with feed(faults=[refuse(403)]) as (api, client, _):
            stream = client.sessions.stream(start_time=LONG_AGO, after=odd)
            with pytest.raises(CoachStreamError, match="403"):
                await anext(stream)
            request = only_request(api)
            assert request.raw_query == (
                f"startTime=2020-01-01T00%3A00%3A00Z&after={quote(odd, safe='')}"
            )
            assert request.query["after"] == odd

    run()


@pytest.mark.parametrize("odd", ["\ud83d", "", " ", "\t\r\n", "\u2028", "a,b"], ids=ascii)
def test_an_invalid_id_is_refused_before_anything_is_sent(odd):
    client = Client(TOKEN)
    with pytest.raises(InvalidArgumentError, match="^driver_ids: "):
        client.assignments.list(driver_ids=[odd])
    with pytest.raises(InvalidArgumentError, match="^coach_ids: "):
        client.sessions.stream(start_time=LONG_AGO, coach_ids=[odd])


async def test_a_garbled_query_from_a_store_is_not_sent():
    store = MemoryStore()
    query = "startTime=2026-01-01T00%3A00%3A00Z"
    garbled = position(query=f"{query} HTTP/1.1\r\nX-Odd: 1\r\n\r\n", origin=query)
    await store.save("it", garbled, after=0)
    async with Emulator(World(sessions=0, changes_per_hour=0)) as api:
        async with Client(TOKEN, base_url=api.url) as client:
            start = datetime(2026, 1, 1, tzinfo=UTC)
            stream = client.sessions.stream(start_time=start, name="it", store=store)
            with pytest.raises(CoachStreamError, match="is damaged .its query is"):
                await anext(stream)
        assert not api.requests


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/\r\nX-Odd: 1", "http://127.0.0.1:1/%0d%0aX", "http://127.0.0.1:1/a b"],
)
def test_a_url_can_not_inject_headers(url):
    try:
        client = Client(TOKEN, base_url=url)
    except InvalidArgumentError:
        return
    used = client._transport._url
    assert used.isprintable()
    assert " " not in used
