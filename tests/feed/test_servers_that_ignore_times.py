"""A backfill of a server, such as a mock, that answers whatever is asked for with one page."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from coachstream import Client, CursorLoopError
from coachstream.http.exchange import Response
from coachstream.testing import most_in_a_second
from tests.support import payloads
from tests.support.emulated import TOKEN
from tests.support.virtual_time import LoopClock, virtual

START = datetime(2025, 11, 1, tzinfo=UTC)
END = START + timedelta(days=80)
FIRST_END = START + timedelta(days=2)
"""Where the first of eight windows for each of five readers ends."""

Answer = Callable[[datetime, datetime], bytes]
"""Makes a page for a start and an end."""


@asynccontextmanager
async def answering(answer: Answer):
    """Yield a backfill whose requests ``answer`` answers, and when they were sent."""
    times: list[float] = []

    async def send(_, url, *, token, limiter):
        await limiter.before_sending(LoopClock())
        times.append(LoopClock().monotonic())
        await LoopClock().sleep(0.1)
        asked = parse_qs(url.query_string)
        start, end = (datetime.fromisoformat(asked[name][0]) for name in ("startTime", "endTime"))
        return Response(200, {}, answer(start, end))

    async with Client(TOKEN, clock=LoopClock()) as client:
        client._transport._exchange.send = send  # type: ignore[method-assign]  # on purpose
        yield client.sessions.backfill(start_time=START, end_time=END), times


def sessions(*times):
    """Versions, as the API sends them, that were updated then."""
    return [
        payloads.SESSION | {"id": f"s{number}", "updatedAtTime": f"{time:%FT%T}Z"}
        for number, time in enumerate(times)
    ]


PAGES = {
    "of one day": sessions(*(START + timedelta(days=40, minutes=n) for n in range(3))),
    "of all days": sessions(*(START + timedelta(days=8 * n) for n in range(10))),
    "of other years": sessions(*(START - timedelta(days=999 * n) for n in range(3, 0, -1))),
    "of one session": sessions(START + timedelta(days=1)),
}


async def until_it_fails(stream):
    """Return what is read before a loop is noticed."""
    read = []
    while True:
        try:
            read.append(await anext(stream))
        except CursorLoopError:
            return read


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("cursor", ["", "c"])
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_one_page_for_all_times_is_noticed_within_ten_requests(page, cursor, more):
    body = payloads.page(*page, endCursor=cursor, hasNextPage=more)

    @virtual
    async def run():
        async with answering(lambda *_: body) as (stream, times):
            read = await until_it_fails(stream)
            assert len(times) <= 10
            read += await until_it_fails(stream)  # if somebody reads on
            assert len(times) <= 20
            assert most_in_a_second(times) <= 5
            assert len(read) <= len(page)

    run()


@virtual
async def test_pages_that_end_and_begin_with_the_same_sessions_are_no_repetition():
    """A bulk change lies where two windows meet, and the server counts a window's end as in it."""
    page = sessions(FIRST_END, FIRST_END)

    def answer(start, end):
        inside = page if start <= FIRST_END <= end else []
        return payloads.page(*inside, endCursor="", hasNextPage=False)

    async with answering(answer) as (stream, times):
        assert [one.id async for one in stream] == ["s0", "s1"]
        assert len(times) > 2
