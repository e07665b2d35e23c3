"""The delay from a change in the emulated world to the body of the loop."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from coachstream import Client, CoachingSession

from . import isolated
from .figure import Figure, Size, Spread
from .reading import cancel_all, new_client
from .servers import Emulation, serving

LATENCY = 0.05
"""Seconds each response takes: the whole round trip, as loopback adds next to nothing."""
STREAMS = 20
CHANGES_PER_HOUR = 10 * 3600.0


class Delays(msgspec.Struct, frozen=True):
    """Seconds from updatedAtTime to delivery."""

    count: int
    median: float
    p99: float
    most: float


def run(size: Size) -> Iterator[Figure]:
    """Follow a busy world with several streams that start at different times."""
    interval, seconds = size.pick((0.5, 2.0), (5.0, 40.0))
    what = Emulation(
        sessions=20_000,  # so many that hardly any changes twice before it is read
        page_size=512,
        latency=LATENCY,
        changes_per_hour=CHANGES_PER_HOUR,
    )
    with serving(what) as server:
        delays = isolated.run(follow, server.url, interval=interval, seconds=seconds)
    ends = f"poll {interval:g} s, round trip {LATENCY * 1000:g} ms"
    for name, value in (("median", delays.median), ("p99", delays.p99), ("most", delays.most)):
        yield Figure(
            what=f"update to loop, {name}; {ends}; {delays.count:,} updates",
            unit="s",
            ours=Spread.of([value]),
        )
    yield Figure(
        what="p99 beyond the poll interval and a round trip",
        unit="ms",
        ours=Spread.of([1000 * (delays.p99 - interval - LATENCY)]),
        most=20.0,
    )


async def follow(url: str, *, interval: float, seconds: float) -> Delays:
    """Follow with all streams for some seconds and return the delays of the sessions."""
    late: list[float] = []
    delivered = asyncio.Event()

    def on_session(session: CoachingSession) -> None:
        late.append((datetime.now(UTC) - session.updated_at_time).total_seconds())
        delivered.set()

    async def follow_one(client: Client, number: int) -> None:
        await asyncio.sleep(interval * number / STREAMS)
        now = datetime.now(UTC)
        async for session in client.sessions.stream(start_time=now, poll_interval=interval):
            on_session(session)

    async with new_client(url, observer=_ignore) as client:
        following = [asyncio.create_task(follow_one(client, number)) for number in range(STREAMS)]
        await asyncio.sleep(interval + seconds)
        await delivered.wait()  # takes longer on a machine that is too busy
        await cancel_all(following)
    late.sort()
    return Delays(
        count=len(late),
        median=late[len(late) // 2],
        p99=late[len(late) * 99 // 100],
        most=late[-1],
    )


def _ignore(_event: object) -> None:
    """Ignore events; the default observer would log the short poll interval."""
