"""From an update to the loop's body: how long a change in the world takes to be seen."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from coachstream import Client, CoachingSession

from . import fresh
from .figure import Figure, Size, Spread
from .reading import client, leave
from .served import Emulation, serving

LATENCY = 0.05
"""Seconds each answer takes: the round trip, as loopback adds next to nothing."""
STREAMS = 20
CHANGES_PER_HOUR = 10 * 3600.0


class Delays(msgspec.Struct, frozen=True):
    """How late sessions came, in seconds after their updatedAtTime."""

    count: int
    median: float
    p99: float
    most: float


def run(size: Size) -> Iterator[Figure]:
    """Follow a lively world by several streams, which began at different times."""
    interval, seconds = size.pick((0.5, 2.0), (5.0, 40.0))
    what = Emulation(
        sessions=20_000,  # so many that hardly one changes twice before it is read
        page_size=512,
        latency=LATENCY,
        changes_per_hour=CHANGES_PER_HOUR,
    )
    with serving(what) as server:
        delays = fresh.run(follow, server.url, interval=interval, seconds=seconds)
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
    """Follow with every stream for some seconds, and tell how late the sessions were."""
    late: list[float] = []

    def on_session(session: CoachingSession) -> None:
        late.append((datetime.now(UTC) - session.updated_at_time).total_seconds())

    async def one(shared: Client, number: int) -> None:
        await asyncio.sleep(interval * number / STREAMS)
        now = datetime.now(UTC)
        async for session in shared.sessions.stream(start_time=now, poll_interval=interval):
            on_session(session)

    async with client(url, observer=_ignore) as shared:
        following = [asyncio.create_task(one(shared, number)) for number in range(STREAMS)]
        await asyncio.sleep(interval + seconds)
        await leave(following)
    late.sort()
    return Delays(
        count=len(late),
        median=late[len(late) // 2],
        p99=late[len(late) * 99 // 100],
        most=late[-1],
    )


def _ignore(_event: object) -> None:
    """Nobody listens: a poll interval below the documented one would be logged."""
